/**
 * How many reads may also be sent to a further drive because an answer is late. Under load everything is late, and a
 * second read of everything would be twice the load: so only a small share may be, in bursts; a read that waits for
 * `longestMs` is sent again whatever the budget says.
 */
export interface HedgeBudget {
  /** To be told of each read. */
  read(): void;
  /** Whether a read that has waited so long may be sent to a further drive. */
  allows(waitedMs: number): boolean;
}

/** A hung drive delays a read at most by this, milliseconds, until the drive is found suspect. */
export const longestHedgeMs = 500;
const share = 0.03;
const burst = 10;

export function createHedgeBudget(): HedgeBudget {
  let saved = burst;
  return {
    read() {
      saved = Math.min(burst, saved + share);
    },
    allows(waitedMs) {
      if (waitedMs >= longestHedgeMs) return true;
      if (saved < 1) return false;
      saved -= 1;
      return true;
    },
  };
}
