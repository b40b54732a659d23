/** The sandbox in the background, as a new user starts it: in a folder where nothing is yet. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { worldHome } from '../support/world-home.ts';

const main = path.join(import.meta.dirname, '..', '..', 'cli', 'main.ts');

test('a sandbox comes up in the background, is asked how it is, and ends', { timeout: 300_000 }, async () => {
  const parent = await worldHome('muster-up-');
  const env = { ...process.env, MUSTER_HOME: path.join(parent, '.muster'), NODE_TEST_CONTEXT: '' };
  const muster = (...args: string[]): Promise<{ stdout: string }> =>
    promisify(execFile)(process.execPath, [main, ...args], { env });
  try {
    const { stdout } = await muster('up', '--detach');
    assert.match(stdout, /the sandbox is up \(process \d+\); end it with: npx muster down/);
    assert.match((await muster('status')).stdout, /hangzhou/);
    assert.match((await muster('down')).stdout, /the sandbox is down/);
    assert.match((await muster('down')).stdout, /no sandbox runs here/);
  } finally {
    await muster('down').catch(() => undefined);
    await rm(parent, { recursive: true, force: true });
  }
});
