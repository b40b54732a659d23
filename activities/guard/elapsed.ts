/** Two readings of time taken together. */
export interface Clocks {
  /** Monotonic milliseconds; stands still while the machine sleeps. */
  monotonicMs: number;
  /** Unix milliseconds; goes on while the machine sleeps, and jumps when somebody sets it. */
  wallMs: number;
}

/**
 * Time that has certainly not been underestimated: monotonic time plus every forward jump of the wall clock against it,
 * so that a machine that slept counts as having waited. Backward jumps are ignored.
 */
export interface Elapsed {
  /** Milliseconds since the start. */
  readonly nowMs: number;
  readonly monotonicMs: number;
  /** Wall minus monotonic, as last taken over. */
  readonly offsetMs: number;
}

/** The wall clock is read in whole milliseconds: smaller differences are not a jump yet, but they do add up to one. */
const noiseMs = 2;

export function startElapsed(clocks: Clocks): Elapsed {
  return { nowMs: 0, monotonicMs: clocks.monotonicMs, offsetMs: clocks.wallMs - clocks.monotonicMs };
}

export function elapse(before: Elapsed, clocks: Clocks): Elapsed {
  const offsetMs = clocks.wallMs - clocks.monotonicMs;
  const jumpedMs = offsetMs - before.offsetMs;
  const counts = Math.abs(jumpedMs) > noiseMs;
  const passedMs = Math.max(0, clocks.monotonicMs - before.monotonicMs) + (counts ? Math.max(0, jumpedMs) : 0);
  return {
    nowMs: before.nowMs + passedMs,
    monotonicMs: clocks.monotonicMs,
    offsetMs: counts ? offsetMs : before.offsetMs,
  };
}
