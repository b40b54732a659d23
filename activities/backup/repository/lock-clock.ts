import { setTimeout as sleepFor } from 'node:timers/promises';

/** The clocks that locks live by; tests have others, since they have no thirty minutes. */
export interface LockClock {
  /** Unix milliseconds; may jump. */
  wallMs(): number;
  /** Never jumps; may stand still while the machine sleeps. */
  monotonicMs(): number;
  /** Rejects when `signal` is aborted; with a signal the process does not stay alive for it. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const realClock: LockClock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleepFor(ms, undefined, signal === undefined ? {} : { ref: false, signal }),
};
