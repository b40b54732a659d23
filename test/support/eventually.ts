import assert from 'node:assert/strict';

/**
 * How long to wait before something is looked at again that has been waited for so long, milliseconds. To look takes
 * processor time from what is waited for.
 */
export function untilNextLookMs(waitedMs: number): number {
  return Math.min(Math.max(20, waitedMs / 10), 100);
}

/** Waits for something that must happen; a limit so generous that only a hang meets it. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean> | boolean,
  withinMs = 30_000,
): Promise<void> {
  const beganMs = Date.now();
  while (Date.now() < beganMs + withinMs) {
    if (await Promise.resolve(holds()).catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, untilNextLookMs(Date.now() - beganMs)));
  }
  assert.fail(`never: ${what}`);
}
