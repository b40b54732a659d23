/**
 * The world a storage node is given. Everything that decides (consensus, objects, healing, a drive) takes these and
 * reads no clock, no randomness and no disk of its own, so that a seeded simulation runs the very same code.
 */

/** A timer that was set; `cancel` after it fired does nothing. */
export interface Timer {
  cancel(): void;
}

/** Time as one node sees it. The wall clock may jump; the monotonic one never does. */
export interface Clock {
  /** Unix milliseconds, may jump either way. For what people read and for ballots, never for deadlines. */
  wallMs(): number;
  /** Milliseconds since some moment of this process. For deadlines and durations. */
  monotonicMs(): number;
  setTimer(delayMs: number, run: () => void): Timer;
}

/** Source of random bytes (`node:crypto` in production, a seeded generator in the simulation). */
export type RandomBytes = (count: number) => Uint8Array;

export interface Env {
  clock: Clock;
  randomBytes: RandomBytes;
}

/** Waits on the given clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(delayMs, resolve);
  });
}
