import { type Clock, sleep } from '../ports.ts';

/** Lets at most `bytesPerSecond` through on average, with bursts of a second; 0 for no limit. */
export function createThrottle(clock: Clock, bytesPerSecond: number): (bytes: number) => Promise<void> {
  let freeAtMs = 0;
  return async (bytes) => {
    if (bytesPerSecond <= 0) return;
    const nowMs = clock.monotonicMs();
    freeAtMs = Math.max(freeAtMs, nowMs - 1_000) + (bytes / bytesPerSecond) * 1_000;
    if (freeAtMs > nowMs) await sleep(clock, freeAtMs - nowMs);
  };
}
