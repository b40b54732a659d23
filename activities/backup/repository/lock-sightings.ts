import { hostname } from 'node:os';
import type { LockClock } from './lock-clock.ts';
import type { NamedLock } from './lock-file.ts';
import { judgeLock, type LockVerdict } from './lock-verdict.ts';

/** Judges locks by what this process knows, and for how long it has seen each of them. */
export interface Sightings {
  judge(lock: NamedLock): LockVerdict;
}

/** Remembers since when each lock was seen: a refreshed one has another name. */
export function createSightings(clock: LockClock): Sightings {
  const firstSeenMs = new Map<string, number>();
  return {
    judge(lock) {
      const nowMs = clock.monotonicMs();
      const sinceMs = firstSeenMs.get(lock.name) ?? nowMs;
      firstSeenMs.set(lock.name, sinceMs);
      return judgeLock(lock, {
        hostname: hostname(),
        wallMs: clock.wallMs(),
        unchangedForMs: nowMs - sinceMs,
        isAlive,
        ownPid: process.pid,
        startedMs: Math.min(performance.timeOrigin, Date.now() - performance.now()),
      });
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (err) {
    // EPERM: there is such a process, and it is somebody else's.
    return err instanceof Error && 'code' in err && err.code !== 'ESRCH';
  }
}
