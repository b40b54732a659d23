import type { MusterError } from '../../../workflows/engine/errors.ts';
import type { LockClock } from './lock-clock.ts';
import { lockedError, writeLock, type LockAccess } from './lock-file.ts';
import { refreshMs, staleMs } from './lock-verdict.ts';

/** A lock on a repository, refreshed by itself until it is released or lost. */
export interface RepositoryLock {
  readonly exclusive: boolean;
  /** Aborted, with the error as its reason, when the lock was lost: whoever works under it must stop. */
  readonly signal: AbortSignal;
  /**
   * Makes sure that the lock is still there, in the store itself: before anything that others must not see half done.
   * @throws MusterError REPOSITORY_LOCKED when it was lost
   */
  confirm(): Promise<void>;
  /** Removes the lock. Once is enough, twice is fine. */
  release(): Promise<void>;
}

/** After a refresh that failed. */
const retryMs = 60_000;
/** Without a refresh for this long the lock no longer protects: five minutes before others may call it stale. */
const lostMs = staleMs - refreshMs;

/** Keeps a lock that was just written as `name`. */
export function keepLock(
  access: LockAccess,
  { exclusive, name: first, clock }: { readonly exclusive: boolean; readonly name: string; readonly clock: LockClock },
): RepositoryLock {
  const lost = new AbortController();
  const ended = new AbortController();
  let name = first;
  let refreshed = moment(clock);
  let refreshing: Promise<void> | null = null;

  function lose(why: string): MusterError {
    const err = lockedError(access, `is no longer locked by this process: ${why}`);
    lost.abort(err);
    ended.abort();
    return err;
  }

  async function mustExist(file: string): Promise<void> {
    if ((await access.store.sizeOf('lock', file)) === null) throw lose(`somebody removed its lock locks/${file}`);
  }

  /** Writes a new lock and removes the old one, if that was there all the time: else others went on without us. */
  async function replace(): Promise<void> {
    const old = name;
    await mustExist(old);
    const at = moment(clock);
    const fresh = await writeLock(access, { exclusive, wallMs: at.wallMs });
    try {
      await mustExist(old);
    } catch (err) {
      await access.store.remove('lock', fresh);
      throw err;
    }
    name = fresh;
    refreshed = at;
    await access.store.remove('lock', old);
  }

  function refresh(): Promise<void> {
    refreshing ??= replace().finally(() => {
      refreshing = null;
    });
    return refreshing;
  }

  async function refreshUntilEnded(): Promise<void> {
    for (let pauseMs = refreshMs; ;) {
      await clock.sleep(pauseMs, ended.signal).catch(() => {});
      if (ended.signal.aborted) return;
      pauseMs = await refresh().then(
        () => refreshMs,
        () => retryMs,
      );
      if (clock.monotonicMs() - refreshed.monotonicMs > lostMs) lose('it could not be refreshed for 25 minutes');
    }
  }

  const refresher = refreshUntilEnded();

  return {
    exclusive,
    signal: lost.signal,
    async confirm() {
      lost.signal.throwIfAborted();
      const now = moment(clock);
      // By either clock: the one may have jumped, the other may have stood still while the machine slept.
      const due = [now.wallMs - refreshed.wallMs, now.monotonicMs - refreshed.monotonicMs].some((ms) => ms > refreshMs);
      await (due ? refresh() : mustExist(name));
    },
    async release() {
      ended.abort();
      await refresher;
      await refreshing?.catch(() => {});
      await access.store.remove('lock', name);
    },
  };
}

const moment = (clock: LockClock) => ({ wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() });
