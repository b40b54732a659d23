import { setTimeout as sleep } from 'node:timers/promises';
import { untilNextLookMs } from './eventually.ts';

/** Tries until it succeeds; its own words when it never does. The limit is so generous that only a hang meets it. */
export async function settles<T>(attempt: () => T | Promise<T>, limitMs = 60_000): Promise<T> {
  const beganMs = performance.now();
  for (;;) {
    try {
      return await attempt();
    } catch (err) {
      if (performance.now() > beganMs + limitMs) throw err;
    }
    await sleep(untilNextLookMs(performance.now() - beganMs));
  }
}
