import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until an assertion holds; its own words when it never does. The limit is so generous that only a hang meets it. */
export async function settles(assertion: () => void | Promise<void>): Promise<void> {
  const giveUpAtMs = performance.now() + 60_000;
  for (;;) {
    try {
      return await assertion();
    } catch (err) {
      if (performance.now() > giveUpAtMs) throw err;
    }
    await sleep(30);
  }
}
