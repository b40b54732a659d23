import { setTimeout as sleep } from 'node:timers/promises';
import { untilNextLookMs } from '../../support/eventually.ts';

/** Waits until an assertion holds; its own words when it never does. The limit is so generous that only a hang meets it. */
export async function settles(assertion: () => void | Promise<void>): Promise<void> {
  const beganMs = performance.now();
  for (;;) {
    try {
      return await assertion();
    } catch (err) {
      if (performance.now() > beganMs + 60_000) throw err;
    }
    await sleep(untilNextLookMs(performance.now() - beganMs));
  }
}
