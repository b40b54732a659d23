import assert from 'node:assert/strict';

/** Waits for something that must happen; a limit so generous that only a hang meets it. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean> | boolean,
  withinMs = 30_000,
): Promise<void> {
  const giveUpAtMs = Date.now() + withinMs;
  while (Date.now() < giveUpAtMs) {
    if (await Promise.resolve(holds()).catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`never: ${what}`);
}
