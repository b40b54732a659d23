import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Repository } from '../../activities/backup/repository/attach.ts';
import type { RepositoryLock } from '../../activities/backup/repository/kept-lock.ts';
import { acquireLock } from '../../activities/backup/repository/lock.ts';
import { realClock, type LockClock } from '../../activities/backup/repository/lock-clock.ts';
import { openRepository } from '../../activities/backup/repository/repository.ts';
import type { StoreAddress } from '../../activities/backup/repository/store.ts';
import { errorCatalogue, toMusterError } from '../../workflows/engine/errors.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { exitCodeOf, reportError } from '../output.ts';
import { printable } from './format.ts';
import { Interruption, type Interrupted } from './interrupt.ts';
import { parseDuration } from './parse.ts';
import { repositoryPassword, type PasswordOptions } from './passwords.ts';
import { repositoryAddress } from './place.ts';
import { Screen } from './screen.ts';

/** Options that every `muster repo` command takes. */
export interface RepoOptions extends PasswordOptions {
  repo?: string;
  lockWait?: string;
  retryLock?: string;
  json?: boolean;
  quiet?: boolean;
}

export type LockMode = 'shared' | 'exclusive' | 'none';

/** An open repository, and what work on it has to heed. */
export interface OpenRepository {
  repository: Repository;
  /** null where none was asked for. */
  lock: RepositoryLock | null;
  /** Aborted by Ctrl-C, or when the lock was lost. */
  signal: AbortSignal;
}

/** One run of a command. */
export interface Session {
  options: RepoOptions;
  screen: Screen;
  interruption: Interruption;
  /** Said when it is stopped by Ctrl-C: what became of the work, and how to go on. */
  whenStopped: string;
}

/** The body of a command; `args` are those of the command line. */
export type Body<Options extends RepoOptions> = (
  session: Session,
  options: Options,
  args: readonly (string | readonly string[] | undefined)[],
) => Promise<ExitCode>;

/** An action of commander that runs a body: loaded when it is wanted, ended with one clear error or none. */
export function repoAction<Options extends RepoOptions>(
  load: () => Promise<Body<Options>>,
): (...all: unknown[]) => Promise<void> {
  return async (...all) => {
    const options = (all.at(-1) as Command).optsWithGlobals<Options>();
    const screen = new Screen({ json: options.json === true, quiet: options.quiet === true });
    const interruption = new Interruption(() => screen.note('stopping … (Ctrl-C again ends it at once)'));
    const session: Session = { options, screen, interruption, whenStopped: 'nothing was changed' };
    try {
      const body = await load();
      const args = all.slice(0, -2) as (string | string[] | undefined)[];
      process.exitCode = await body(session, options, args);
    } catch (err) {
      screen.clear();
      if (interruption.interrupted !== null) return endStopped(session, interruption.interrupted);
      process.exitCode = report(err, screen);
    } finally {
      screen.clear();
      interruption.end();
    }
  };
}

/** What did not heed the signal may still run: nothing is waited for any more. */
function endStopped({ screen, whenStopped }: Session, why: Interrupted): never {
  if (screen.json) screen.value({ message_type: 'exit_error', code: why.exitCode, message: why.message });
  else if (why.exitCode !== brokenPipe) screen.note(`stopped: ${whenStopped}`);
  process.exit(why.exitCode);
}

const brokenPipe = 128 + 13;

function report(err: unknown, screen: Screen): ExitCode {
  if (!screen.json) return reportError(err, false);
  const { code, message } = toMusterError(err);
  const exitCode = exitCodeOf(code);
  const error = { code, message, hint: errorCatalogue[code].hint };
  screen.value({ message_type: 'exit_error', code: exitCode, message, error });
  return exitCode;
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
  const waitMs = lockWaitMs(options);
  const password = await repositoryPassword(options, { isNew: false, signal: interruption.signal });
  const repository = await interruption.race(openRepository({ address, password }));
  try {
    interruption.signal.throwIfAborted();
    if (mode === 'none') return await interruption.race(body({ repository, lock: null, signal: interruption.signal }));
    const lock = await lockIt(session, repository, { exclusive: mode === 'exclusive', waitMs });
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

function lockIt(
  { interruption, screen }: Session,
  repository: Repository,
  { exclusive, waitMs }: { exclusive: boolean; waitMs: number },
): Promise<RepositoryLock> {
  return acquireLock(repository, {
    ...{ exclusive, waitMs },
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
