import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Repository } from '../../activities/backup/repository/attach.ts';
import type { LockAccess } from '../../activities/backup/repository/lock-file.ts';
import type { RepositoryLock } from '../../activities/backup/repository/kept-lock.ts';
import { acquireLock } from '../../activities/backup/repository/lock.ts';
import { realClock, type LockClock } from '../../activities/backup/repository/lock-clock.ts';
import { openRepository } from '../../activities/backup/repository/repository.ts';
import type { StoreAddress } from '../../activities/backup/repository/store.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { RepoOptions, Session } from './action.ts';
import { printable } from '../format.ts';
import { parseDuration } from './parse.ts';
import { repositoryPassword } from './passwords.ts';
import { repositoryAddress } from './place.ts';

export type LockMode = 'shared' | 'exclusive' | 'none';

/** An open repository, and what work on it has to heed. */
export interface OpenRepository {
  repository: Repository;
  /** null where none was asked for. */
  lock: RepositoryLock | null;
  /** Aborted by Ctrl-C, or when the lock was lost. */
  signal: AbortSignal;
}

/** Where the repository of this run lies. */
export function addressOf({ options }: Session): StoreAddress {
  return repositoryAddress(options.repo, process.env);
}

/** Opens the repository, locks it, and closes both whatever happens. */
export async function withRepository<Result>(
  session: Session,
  mode: LockMode,
  body: (open: OpenRepository) => Promise<Result>,
): Promise<Result> {
  const { interruption, options } = session;
  const address = addressOf(session);
  // What is wrong with the options is said before a password is asked for.
  lockWaitMs(options);
  const password = await repositoryPassword(options, { isNew: false, signal: interruption.signal });
  const repository = await interruption.race(openRepository({ address, password }));
  try {
    interruption.signal.throwIfAborted();
    if (mode === 'none') return await interruption.race(body({ repository, lock: null, signal: interruption.signal }));
    const lock = await lockRepository(session, repository, mode);
    try {
      const signal = AbortSignal.any([interruption.signal, lock.signal]);
      return await interruption.race(body({ repository, lock, signal }));
    } finally {
      await lock.release();
    }
  } finally {
    await repository.close();
  }
}

function lockWaitMs({ lockWait, retryLock }: RepoOptions): number {
  const text = lockWait ?? retryLock;
  return text === undefined ? 0 : parseDuration('--lock-wait', text);
}

/** Waits for a lock as long as the options say. */
export function lockRepository(
  { interruption, options, screen }: Session,
  access: LockAccess,
  mode: 'shared' | 'exclusive',
): Promise<RepositoryLock> {
  const waitMs = lockWaitMs(options);
  return acquireLock(access, {
    ...{ exclusive: mode === 'exclusive', waitMs },
    onWaiting: (who) => waitMs > 0 && screen.note(`waiting for ${printable(who)}`),
    clock: stoppableClock(interruption.signal),
  });
}

/** Ctrl-C ends the waiting for a lock, which then takes its own half-made one away. Sleeps with a signal are others'. */
function stoppableClock(stop: AbortSignal): LockClock {
  return {
    ...realClock,
    sleep: (ms, signal) =>
      signal === undefined ? sleepFor(ms, undefined, { signal: stop }) : realClock.sleep(ms, signal),
  };
}

/** The exit code of work that may be incomplete. */
export function exitOf(kind: 'complete' | 'partial'): ExitCode {
  return kind === 'complete' ? exitCodes.met : exitCodes.partial;
}
