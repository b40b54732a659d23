import type { MusterError } from '../../../workflows/engine/errors.ts';
import { keepLock, type RepositoryLock } from './kept-lock.ts';
import { realClock, type LockClock } from './lock-clock.ts';
import { holderOf, lockedError, readLocks, writeLock, type LockAccess, type NamedLock } from './lock-file.ts';
import { createSightings, type Sightings } from './lock-sightings.ts';
import { lockedAtMs, type LockVerdict } from './lock-verdict.ts';

export interface LockOptions {
  /** Exclusive: nobody else may work on the repository. Shared: nobody may have it exclusively. */
  readonly exclusive: boolean;
  /** How long to wait for others before giving up; 0 tries once. */
  readonly waitMs?: number;
  /** Told who is waited for, each time that it is somebody else. */
  readonly onWaiting?: (who: string) => void;
  readonly clock?: LockClock;
}

/** Between writing a lock and looking for others once more: as long as restic waits. */
const settleMs = 200;
const firstPauseMs = 1_000;
const longestPauseMs = 10_000;

/**
 * Locks the repository as restic does: no conflicting lock, write one's own, look again. Stale locks that are in the
 * way are removed. @throws MusterError REPOSITORY_LOCKED naming who holds it, REPOSITORY_DAMAGED
 */
export async function acquireLock(access: LockAccess, options: LockOptions): Promise<RepositoryLock> {
  const { exclusive, waitMs = 0, onWaiting, clock = realClock } = options;
  const seen = createSightings(clock);
  const deadlineMs = clock.monotonicMs() + waitMs;
  let announced = '';
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)) {
    const attempt = await tryLock(access, exclusive, seen, clock);
    if (attempt.kind === 'locked') return keepLock(access, { exclusive, name: attempt.name, clock });
    if (attempt.by.name !== announced) onWaiting?.(holderOf(attempt.by));
    announced = attempt.by.name;
    const leftMs = deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) throw refusal(access, attempt.by, seen.judge(attempt.by), clock);
    // Two that want it for themselves alone back off from each other, and must not meet again.
    await clock.sleep(Math.min(pauseMs * (0.5 + Math.random()), leftMs));
  }
}

type Attempt =
  { readonly kind: 'locked'; readonly name: string } | { readonly kind: 'blocked'; readonly by: NamedLock };

async function tryLock(access: LockAccess, exclusive: boolean, seen: Sightings, clock: LockClock): Promise<Attempt> {
  const before = await conflicting(access, exclusive, seen, '');
  if (before !== null) return { kind: 'blocked', by: before };
  const name = await writeLock(access, { exclusive, wallMs: clock.wallMs() });
  try {
    await clock.sleep(settleMs);
    const after = await conflicting(access, exclusive, seen, name);
    if (after === null) return { kind: 'locked', name };
    await access.store.remove('lock', name);
    return { kind: 'blocked', by: after };
  } catch (err) {
    await access.store.remove('lock', name).catch(() => {});
    throw err;
  }
}

/** The first lock that stands in the way; stale ones are removed. */
async function conflicting(
  access: LockAccess,
  exclusive: boolean,
  seen: Sightings,
  own: string,
): Promise<NamedLock | null> {
  const others = (await readLocks(access)).filter((lock) => lock.name !== own && (exclusive || lock.exclusive));
  const held: NamedLock[] = [];
  for (const lock of others) {
    if (seen.judge(lock).kind === 'stale') await access.store.remove('lock', lock.name);
    else held.push(lock);
  }
  return held[0] ?? null;
}

function refusal(access: LockAccess, by: NamedLock, verdict: LockVerdict, clock: LockClock): MusterError {
  const ageSeconds = Math.max(0, Math.round((clock.wallMs() - lockedAtMs(by)) / 1000));
  const state =
    verdict.kind === 'held' ? 'not stale' : `stale: ${verdict.why}; it is removed when seen so for 6 minutes`;
  return lockedError(
    access,
    `is locked by ${holderOf(by)}, refreshed ${ageSeconds} s ago (locks/${by.name}, ${state})`,
  );
}

export interface JudgedLock {
  readonly lock: NamedLock;
  readonly verdict: LockVerdict;
}

/** Every lock there is, and whether it still counts. */
export async function listLocks(access: LockAccess, clock: LockClock = realClock): Promise<JudgedLock[]> {
  const seen = createSightings(clock);
  return (await readLocks(access)).map((lock) => ({ lock, verdict: seen.judge(lock) }));
}

/**
 * Removes locks at somebody's word: the stale ones (`old` ones, too, whose time alone says so: as `restic unlock`
 * does), or all. @returns what was removed
 */
export async function unlock(access: LockAccess, which: 'stale' | 'all'): Promise<NamedLock[]> {
  const judged = await listLocks(access);
  const removed = judged.filter(({ verdict }) => which === 'all' || verdict.kind !== 'held').map(({ lock }) => lock);
  for (const { name } of removed) await access.store.remove('lock', name);
  return removed;
}
