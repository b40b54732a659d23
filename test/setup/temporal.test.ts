/** How set-up finds Temporal, with stand-ins for the CLI and for Go: small shell scripts on a PATH of their own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Temporal } from '../../scripts/setup/temporal.mjs';

const setupFolder = path.join(import.meta.dirname, '..', '..', 'scripts', 'setup');
const find = `
  const { findTemporal } = await import(${JSON.stringify(pathToFileURL(path.join(setupFolder, 'temporal.mjs')).href)});
  try {
    const known = JSON.parse(process.env.KNOWN ?? 'null');
    console.log('FOUND ' + JSON.stringify(await findTemporal(known, process.execPath)));
  } catch (err) {
    console.log('FAILED ' + err.message);
  }`;

interface Machine {
  cache: string;
  bin: string;
  /** File to which the stand-ins write a line each time they are started. */
  calls: string;
}

function machine(t: TestContext): Machine {
  const folder = mkdtempSync(path.join(tmpdir(), 'muster-setup-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const made = { cache: path.join(folder, 'cache'), bin: path.join(folder, 'bin'), calls: path.join(folder, 'calls') };
  mkdirSync(made.bin);
  writeFileSync(made.calls, '');
  return made;
}

const cli = (server: string, calls: string): string =>
  `#!/bin/sh\necho temporal >> ${calls}\necho "temporal version 0.0.0-DEV (Server ${server}, UI 2.42.1)"\n`;

/** A Go that takes a moment and leaves the CLI where `go install` would. */
const go = (calls: string): string =>
  `#!/bin/sh\necho "go $*" >> ${calls}\nsleep 0.5\ncat > "$GOBIN/temporal" <<'END'\n${cli('1.29.1', calls)}END\nchmod +x "$GOBIN/temporal"\n`;

function put(file: string, text: string): string {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text, { mode: 0o755 });
  return file;
}

const cached = (cache: string): string => path.join(cache, 'temporal-1.5.1', 'temporal');

/** Runs the search in a process of its own. No download leaves this machine: its proxy is a closed port. */
async function search({ cache, bin }: Machine, env: Record<string, string> = {}): Promise<Temporal | string> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', find], {
    env: { PATH: `${bin}:/usr/bin:/bin`, HOME: cache, MUSTER_CACHE: cache, HTTPS_PROXY: 'http://127.0.0.1:1', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await new Promise((resolve) => child.on('close', resolve));
  const [, verdict, text] = /^(FOUND|FAILED) ([\s\S]*)/m.exec(output) ?? [];
  return verdict === 'FOUND' ? (JSON.parse(text ?? '') as Temporal) : (text ?? output);
}

async function refusal(here: Machine, env: Record<string, string> = {}): Promise<string> {
  const said = await search(here, env);
  assert.ok(typeof said === 'string', 'it was found all the same');
  return said;
}

const callsOf = ({ calls }: Machine, name: string): number =>
  readFileSync(calls, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(name)).length;

test('TEMPORAL_ADDRESS comes first', async (t) => {
  const here = machine(t);
  put(path.join(here.bin, 'temporal'), cli('1.29.1', here.calls));
  const found = await search(here, { TEMPORAL_ADDRESS: 'temporal.example:7233' });
  assert.deepEqual(found, { kind: 'address', address: 'temporal.example:7233' });
});

test('a TEMPORAL_ADDRESS that is none is named, and nothing else is tried', async (t) => {
  const here = machine(t);
  put(path.join(here.bin, 'temporal'), cli('1.29.1', here.calls));
  assert.match(await refusal(here, { TEMPORAL_ADDRESS: 'http://x' }), /must be host:port/);
});

test('a CLI on PATH comes before the cache', async (t) => {
  const here = machine(t);
  const onPath = put(path.join(here.bin, 'temporal'), cli('1.30.0', here.calls));
  put(cached(here.cache), cli('1.29.1', here.calls));
  const found = await search(here);
  assert.ok(typeof found === 'object' && found.kind === 'binary');
  assert.deepEqual([found.path, found.from, found.server], [onPath, 'path', '1.30.0']);
});

for (const [what, text] of [
  ['with a server that is too old', cli('1.20.4', '/dev/null')],
  ['that is some other program', '#!/bin/sh\necho a calendar\n'],
  ['that does not run', '#!/nowhere/sh\n'],
] as const) {
  test(`a \`temporal\` on PATH ${what} is passed over for the cache`, async (t) => {
    const here = machine(t);
    put(path.join(here.bin, 'temporal'), text);
    const inCache = put(cached(here.cache), cli('1.29.1', here.calls));
    const found = await search(here);
    assert.ok(typeof found === 'object' && found.kind === 'binary');
    assert.deepEqual([found.path, found.from], [inCache, 'cache']);
  });
}

test('what the last set-up found is not started again while its file is the same', async (t) => {
  const here = machine(t);
  const file = put(cached(here.cache), cli('1.29.1', here.calls));
  const first = await search(here);
  assert.equal(callsOf(here, 'temporal'), 1);
  assert.deepEqual(await search(here, { KNOWN: JSON.stringify(first) }), first);
  assert.equal(callsOf(here, 'temporal'), 1);
  put(file, `${cli('1.31.0', here.calls)}# a newer one\n`);
  const second = await search(here, { KNOWN: JSON.stringify(first) });
  assert.ok(typeof second === 'object' && second.kind === 'binary' && second.server === '1.31.0');
});

test('two set-ups without a download build with Go once, and leave nothing half-made', async (t) => {
  const here = machine(t);
  put(path.join(here.bin, 'go'), go(here.calls));
  mkdirSync(path.join(here.cache, 'temporal-1.5.1', 'building-1'), { recursive: true }); // of a set-up that was killed
  const both = await Promise.all([search(here), search(here)]);
  assert.deepEqual(
    both.map((found) => typeof found === 'object' && found.kind === 'binary' && found.path),
    [cached(here.cache), cached(here.cache)],
  );
  assert.equal(callsOf(here, 'go install -v github.com/temporalio/cli/cmd/temporal@v1.5.1'), 1);
  assert.deepEqual(readdirSync(path.join(here.cache, 'temporal-1.5.1')), ['temporal']);
  assert.deepEqual(readdirSync(here.cache), ['temporal-1.5.1'], 'the lock is given back');
});

test('when nothing works, one message says what was tried and the three ways out', async (t) => {
  const here = machine(t);
  put(path.join(here.bin, 'go'), '#!/bin/sh\necho "go: no network" >&2\nexit 1\n');
  const said = await refusal(here);
  for (const part of [
    'TEMPORAL_ADDRESS is not set',
    'no `temporal` on PATH',
    'nothing in the cache',
    'download: ',
    'build: go install ended with code 1',
    'go: no network',
    '1. set TEMPORAL_ADDRESS=host:port',
    '2. install the Temporal CLI',
    '3. install Go',
  ]) {
    assert.ok(said.includes(part), `"${part}" is not in: ${said}`);
  }
  assert.ok(!existsSync(cached(here.cache)));
});
