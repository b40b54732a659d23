import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { findOnPath } from '../../scripts/setup/run.mjs';

const root = path.join(import.meta.dirname, '..', '..');
const main = `
const [what, value] = process.argv.slice(2);
if (what === 'wait') {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(40 + signal.length));
  setInterval(() => {}, 1000);
}
console.log('Node', process.versions.node.split('.')[0], 'got', process.argv.slice(2).join(' '));
if (what === 'exit') process.exit(Number(value));
if (what === 'die') process.kill(process.pid, 'SIGKILL');
`;

/** A checkout with the launcher, a main.ts that says what it was given, and the packages of this one when `ready`. */
function checkout(t: TestContext, ready = true): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'muster-launcher-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(path.join(root, 'scripts'), path.join(folder, 'scripts'), { recursive: true });
  mkdirSync(path.join(folder, 'cli'));
  cpSync(path.join(root, 'cli', 'launcher.mjs'), path.join(folder, 'cli', 'launcher.mjs'));
  writeFileSync(path.join(folder, 'cli', 'main.ts'), main);
  writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
  if (ready) symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  return path.join(folder, 'cli', 'launcher.mjs');
}

/** This Node runs main.ts in its own process; an older one on PATH, where there is one, starts Node 24 for it. */
const older = findOnPath('node', path.join(root, 'node_modules'));
const olderMajor =
  older === null
    ? 0
    : Number(spawnSync(older, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.split('.')[0]);
const nodes = [
  { name: 'Node 24 itself', node: process.execPath, skip: false as const },
  {
    name: 'an older Node',
    node: older ?? '',
    skip: olderMajor >= 20 && olderMajor < 24 ? (false as const) : 'no older Node on PATH',
  },
];

/** Seen from the launcher's folder. */
const caches = [
  { what: 'kept in a folder that is made', cache: 'new/cache', off: false, kept: true },
  { what: 'not kept when that is switched off', cache: 'new/cache', off: true, kept: false },
  { what: 'not kept where a file is in the way', cache: 'launcher.mjs', off: false, kept: false },
  { what: 'not kept where no folder can be made', cache: '/proc/nowhere/cache', off: false, kept: false },
];

for (const { name, node, skip } of nodes) {
  test(`launched by ${name}: arguments, output and exit code go through`, { skip }, (t) => {
    const ended = spawnSync(node, [checkout(t), 'exit', '3', '--json'], { encoding: 'utf8' });
    assert.equal(ended.stdout, 'Node 24 got exit 3 --json\n');
    assert.deepEqual([ended.status, ended.stderr], [3, '']);
  });

  test(`launched by ${name}: death by a signal is passed on as such`, { skip }, (t) => {
    assert.equal(spawnSync(node, [checkout(t), 'die']).signal, 'SIGKILL');
  });

  for (const { what, cache, off, kept } of caches) {
    test(`launched by ${name}: compiled code is ${what}`, { skip }, (t) => {
      const launcher = checkout(t);
      const folder = path.resolve(path.dirname(launcher), cache);
      const { NODE_COMPILE_CACHE: _, ...rest } = process.env;
      const env = { ...rest, MUSTER_CACHE: folder, ...(off ? { NODE_DISABLE_COMPILE_CACHE: '1' } : {}) };
      const ended = spawnSync(node, [launcher, 'exit', '0'], { encoding: 'utf8', env });
      assert.deepEqual([ended.status, ended.stderr], [0, '']);
      const compiled = path.join(folder, 'compiled');
      assert.equal(existsSync(compiled) && readdirSync(compiled).length > 0, kept);
    });
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    test(`launched by ${name}: ${signal} reaches main.ts, which decides how it ends`, { skip }, async (t) => {
      const child = spawn(node, [checkout(t), 'wait'], { stdio: ['ignore', 'pipe', 'ignore'] });
      await once(child.stdout, 'data');
      child.kill(signal);
      const [code] = (await once(child, 'exit')) as [number | null];
      assert.equal(code, 40 + signal.length);
    });
  }

  test(`launched by ${name} before set-up: one line says what to do`, { skip }, (t) => {
    const ended = spawnSync(node, [checkout(t, false), 'status'], { encoding: 'utf8' });
    assert.deepEqual([ended.status, ended.stdout], [2, '']);
    assert.match(ended.stderr, /^Muster is not set up yet: run `npm start` or `npm run setup` in \S+\n$/);
  });
}
