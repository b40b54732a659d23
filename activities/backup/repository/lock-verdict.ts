import { parseTime } from './go-time.ts';
import type { LockFile } from './lock-file.ts';

/** What there is to know where locks are judged. Times in milliseconds. */
export interface LockWitness {
  readonly hostname: string;
  readonly wallMs: number;
  /** How long this process has seen the lock unchanged, by a clock that does not jump. */
  readonly unchangedForMs: number;
  readonly isAlive: (pid: number) => boolean;
  readonly ownPid: number;
  /** The earliest moment at which this process can have started, by the wall clock as it is now or was then. */
  readonly startedMs: number;
}

export type LockVerdict =
  | { readonly kind: 'held' }
  /** Its time says stale, but a clock may have jumped: it is when nobody refreshes it for a while, too. */
  | { readonly kind: 'old'; readonly why: string }
  | { readonly kind: 'stale'; readonly why: string };

/** As restic has it: a lock is refreshed every five minutes, and stale after thirty without. */
export const refreshMs = 5 * 60_000;
export const staleMs = 30 * 60_000;
/** A live holder refreshes its lock within this, whatever its clock says and ours. */
export const oldButUnseenMs = refreshMs + 60_000;

/**
 * Whether a lock still counts. A lock of this host is stale as soon as its process is gone. One of another host is
 * stale when its time is thirty minutes ago, or nobody refreshed it for so long; but since clocks jump, its time alone
 * convicts nobody: it must have been seen unchanged for longer than a live holder takes to refresh it.
 */
export function judgeLock(lock: LockFile, witness: LockWitness): LockVerdict {
  if (lock.hostname === witness.hostname) {
    const gone = goneBecause(lock, witness);
    if (gone !== null) return { kind: 'stale', why: gone };
  }
  if (witness.unchangedForMs > staleMs) return { kind: 'stale', why: 'nobody refreshed it for 30 minutes' };
  const ageMs = witness.wallMs - lockedAtMs(lock);
  if (ageMs <= staleMs) return { kind: 'held' };
  const why = `it was refreshed ${Math.floor(ageMs / 60_000)} minutes ago`;
  return { kind: witness.unchangedForMs > oldButUnseenMs ? 'stale' : 'old', why };
}

export function lockedAtMs(lock: LockFile): number {
  return Number((parseTime(lock.time) ?? 0n) / 1_000_000n);
}

function goneBecause(lock: LockFile, { isAlive, ownPid, startedMs }: LockWitness): string | null {
  if (lock.pid !== ownPid) return isAlive(lock.pid) ? null : `its process ${lock.pid} is gone`;
  // Containers give every run the same host name and process id.
  return lockedAtMs(lock) < startedMs - 60_000
    ? `an earlier process ${lock.pid} wrote it, before this one began`
    : null;
}
