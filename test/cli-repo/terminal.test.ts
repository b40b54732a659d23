/** `muster repo` where a person sits: one line that is written over, and a password that nobody sees. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { noise } from '../backup/engine/world.ts';
import { password } from '../backup/repository/support/repositories.ts';
import { eventually } from '../support/eventually.ts';
import { createPlace, type Place } from './support/muster.ts';

const launcher = path.join(import.meta.dirname, '..', '..', 'cli', 'launcher.mjs');
const hasScript = spawnSync('script', ['--version'], { stdio: 'ignore' }).status === 0;
const options = { timeout: 120_000, skip: hasScript ? (false as const) : 'script is not installed' };

/** Runs `muster repo` in a terminal of its own. @returns all that the terminal was sent, and the exit code */
async function inTerminal(place: Place, args: readonly string[], typed: string | null) {
  const command = [process.execPath, launcher, 'repo', ...args].map((word) => `'${word}'`).join(' ');
  const env = { ...process.env, MUSTER_REPOSITORY: place.repo, TERM: 'xterm', NO_COLOR: '1' };
  const given = typed === null ? { RESTIC_PASSWORD: password } : { RESTIC_PASSWORD: '' };
  const child = spawn('script', ['-qec', command, '/dev/null'], { env: { ...env, ...given } });
  let screen = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text));
  const ended = once(child, 'close');
  if (typed !== null) {
    await eventually('it asks', () => screen.includes('password of the repository: '));
    child.stdin.write(typed);
  }
  const [code] = (await ended) as [number];
  return { screen, code };
}

test('progress is one line of the terminal, and gone at the end', options, async (t) => {
  const place = await createPlace(t);
  for (let i = 0; i < 3; i++) writeFileSync(place.at(`file ${i}`), noise(40 * 2 ** 20, i + 1));
  const { screen, code } = await inTerminal(place, ['backup', place.source], null);
  assert.equal(code, 0);
  const [before = '', after = ''] = screen.split('\r\u001b[K');
  assert.match(before, /^\r\[0:\d\d\] {2}.*\d+ files? {2}/);
  assert.ok(!before.includes('\n'), 'it never scrolls');
  assert.match(after, /^3 files, 120\.0 MiB: 3 new, .*\r\nadded .*\r\nsnapshot [0-9a-f]{8} saved\r\n$/);
});

test('a password is asked for where there is a terminal, and is not shown', options, async (t) => {
  const place = await createPlace(t);
  const { screen, code } = await inTerminal(place, ['snapshots'], `${password}x\u007f\r`);
  assert.equal(code, 0, screen);
  assert.ok(!screen.includes(password.slice(0, 4)), screen);
  assert.match(screen, /0 snapshots\r\n$/);
});
