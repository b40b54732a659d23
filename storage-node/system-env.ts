import { randomBytes } from 'node:crypto';
import { type Env } from './ports.ts';

/** The real clock and real chance. */
export const systemEnv: Env = {
  clock: {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    setTimer(delayMs, run) {
      const timer = setTimeout(run, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
  },
  randomBytes: pooledRandom(),
};

/** Ids want a few bytes at a time; asking the system for each would cost more than they do. */
function pooledRandom(): (count: number) => Uint8Array {
  let pool = randomBytes(0);
  let used = 0;
  return (count) => {
    if (used + count > pool.length) {
      pool = randomBytes(Math.max(4096, count));
      used = 0;
    }
    const bytes = pool.subarray(used, used + count);
    used += count;
    return bytes;
  };
}
