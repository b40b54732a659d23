import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for its turn; undefined where there is nothing to wait for. */
export type Limiter = (amount: number) => Promise<void> | undefined;

/** What may be taken at once after a pause, in milliseconds of the rate. */
const burstMs = 100;
/** Less is not worth a timer. */
const leastWaitMs = 4;

/**
 * Lets amounts through at a rate that may change: whoever comes pays for the ones before. A waiting one is woken when
 * the rate rises at the latest after a second.
 * @param rate amount per second now; undefined for no limit
 */
export function createLimiter(rate: () => number | undefined, signal?: AbortSignal): Limiter {
  let paidUpToMs = 0;
  let limited = rate();
  let askedAtMs = performance.now();
  return (amount) => {
    const nowMs = performance.now();
    if (nowMs - askedAtMs > 1_000) {
      limited = rate();
      askedAtMs = nowMs;
    }
    if (limited === undefined) return undefined;
    paidUpToMs = Math.max(paidUpToMs, nowMs - burstMs) + (1_000 * amount) / limited;
    const waitMs = paidUpToMs - nowMs;
    return waitMs < leastWaitMs ? undefined : sleep(waitMs, undefined, signal === undefined ? {} : { signal });
  };
}
