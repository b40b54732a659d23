import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ObjectClient } from '../../activities/objects/types.ts';

import { account, type MoverCluster, startMoverCluster } from './support/cluster.ts';
import { settles } from '../support/settles.ts';

let cluster: MoverCluster;
let work: string;
before(async () => {
  cluster = await startMoverCluster();
  work = mkdtempSync(path.join(os.tmpdir(), 'muster-mover-test-'));
});
after(async () => {
  await cluster?.[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

interface Ended {
  code: number | null;
  lines: Record<string, unknown>[];
  stderr: string;
}
function start(args: readonly string[]): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [path.join(import.meta.dirname, 'support', 'copy-command.ts'), ...args], {
    env: {
      ...process.env,
      ...{ AWS_ACCESS_KEY_ID: account.accessKeyId, AWS_SECRET_ACCESS_KEY: account.secretAccessKey },
      ...{ AWS_ENDPOINT_URL: cluster.endpoint, AWS_REGION: 'us-east-1' },
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
const copy = (args: readonly string[], whileRunning?: (interrupt: () => void) => void): Promise<Ended> =>
  muster(['copy', ...args], whileRunning);
function muster(args: readonly string[], whileRunning: (interrupt: () => void) => void = () => {}): Promise<Ended> {
  const child = start(args);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  whileRunning(() => child.kill('SIGINT'));
  return new Promise((resolve) =>
    child.once('close', (code) => {
      const lines = args.includes('--json') ? stdout.trim().split('\n').map(parsed) : [];
      resolve({ code, lines, stderr: stderr + stdout });
    }),
  );
}
const parsed = (line: string): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>;
async function keysOf(client: ObjectClient): Promise<string[]> {
  return (await client.list()).objects.map(({ key }) => key);
}

test(
  'the command copies, says in JSON what it did, and its exit codes are those of its help',
  { timeout: 120_000 },
  async () => {
    const [a, b] = [await cluster.bucket('cmd-a'), await cluster.bucket('cmd-b')];
    for (let i = 0; i < 12; i++) await a.put(`in/k${i}`, Buffer.from(`${i}`));
    const [from, to] = ['s3://cmd-a/in', 's3://cmd-b/out'];
    const planned = await copy([from, to, '--dry-run', '--json']);
    assert.deepEqual(
      [planned.code, planned.lines.filter(({ kind }) => kind === 'would-copy').length],
      [0, 12],
      planned.stderr,
    );
    assert.deepEqual(await keysOf(b), []);
    const state = path.join(work, 'state');
    const done = await copy([from, to, '--json', '--state', state]);
    const result = done.lines.find(({ type }) => type === 'result') as { kind: string; counts: Record<string, number> };
    assert.deepEqual([done.code, result.kind, result.counts['copied']], [0, 'complete', 12], done.stderr);
    assert.ok((await keysOf(b)).every((key) => key.startsWith('out/k')));
    assert.equal((await copy([from, to, '--compare-only'])).code, 0);
    await b.put('out/k1', Buffer.from('of others'));
    const kept = await copy([from, to, '--state', state]);
    assert.equal(kept.code, 3);
    assert.match(kept.stderr, /kept "k1": the target's is foreign/);
    await a.deleteMany(Array.from({ length: 6 }, (_, i) => ({ key: `in/k${i}` })));
    const guarded = await copy([from, to, '--delete', '--state', state]);
    assert.equal(guarded.code, 4);
    assert.match(guarded.stderr, /DELETE_GUARD/);
    const elsewhere = await copy(['s3://cmd-a', to, '--state', state]);
    assert.equal(elsewhere.code, 2);
    assert.match(elsewhere.stderr, /belongs to another source or target/);
  },
);

for (const [args, why] of [
  [['s3://aaa', 's3://bbb', '--bwlimit', 'fast'], /--bwlimit: "fast"/],
  [['s3://aaa', 's3://aaa/below'], /lie within each other/],
  [['s3://aaa', 's3://bbb', '--overwrite', 'yes'], /--overwrite: must be one of ours, older, always/],
  [['s3://aaa', 's3://bbb', '--follow'], /--follow needs --state/],
  [['s3://aaa', 's3://bbb', '--delete-guard', '200', '--delete'], /--delete-guard/],
  [['s3://aaa', 's3://bbb', '--both'], /--both: needs --state/],
  [['s3://aaa', 's3://bbb', '--both', '--state', 'x', '--versions'], /--versions: is no use with --both/],
  [['s3://aaa', 's3://bbb', '--both', '--state', 'x', '--conflicts', 'mine'], /--conflicts: must be one of keep/],
  [['s3://aaa'], /missing required argument/],
] as const) {
  test(`wrong usage is refused before anything is asked: ${args.join(' ')}`, async () => {
    const refused = await copy(args);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, why);
  });
}

test('a refusal is one line of JSON', async () => {
  const { code, lines } = await copy(['s3://aaa', 's3://bbb', '--min-size', 'big', '--json']);
  assert.equal(code, 2);
  assert.deepEqual(
    lines.map((line) => [line['type'], line['code'], line['message']]),
    [['error', 'CONFIG_INVALID', '--min-size: "big" is no size such as 500B, 10K or 2G (a number alone is KiB)']],
  );
});

test('a state that cannot be kept is named', { timeout: 60_000 }, async () => {
  const file = path.join(work, 'a-file');
  writeFileSync(file, '');
  const { code, stderr } = await copy(['s3://cmd-a/in', 's3://cmd-b/out', '--state', path.join(file, 'below')]);
  assert.equal(code, 2);
  assert.match(stderr, /CONFIG_INVALID: the state directory .*a-file\/below cannot be made/);
});

test('a reader that has seen enough ends a copy without a word about it', { timeout: 60_000 }, async () => {
  const a = await cluster.bucket('head-a');
  await cluster.bucket('head-b');
  for (let i = 0; i < 40; i++) await a.put(`k${i}`, randomBytes(50_000));
  const child = start(['copy', 's3://head-a', 's3://head-b', '--json', '--dry-run', '--tpslimit', '20']);
  child.stdout.once('data', () => child.stdout.destroy());
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  assert.deepEqual([code, said], [0, '']);
});

test('Ctrl-C stops in order, and the next run goes on where it was', { timeout: 60_000 }, async () => {
  const [a, b] = [await cluster.bucket('stop-a'), await cluster.bucket('stop-b')];
  for (let i = 0; i < 40; i++) await a.put(`k${i}`, randomBytes(50_000));
  const state = path.join(work, 'stopped');
  const args = ['s3://stop-a', 's3://stop-b', '--json', '--state', state];
  const isUnderWay = async (): Promise<void> => assert.ok((await keysOf(b)).length >= 3);
  const stopped = await copy([...args, '--bwlimit', '300K'], (interrupt) => void settles(isUnderWay).then(interrupt));
  const first = stopped.lines.find(({ type }) => type === 'result') as { code: string; counts: Record<string, number> };
  assert.deepEqual([stopped.code, first.code], [130, 'ABORTED'], stopped.stderr);
  const copied = (await keysOf(b)).length;
  assert.ok(copied >= 3 && copied < 40, `${copied} of 40`);
  const again = await copy(args);
  assert.equal(again.code, 0, again.stderr);
  assert.equal((await keysOf(b)).length, 40);
});

test(
  'two buckets with users on both sides stay one, and what both changed is listed',
  { timeout: 120_000 },
  async () => {
    const [a, b] = [await cluster.bucket('pair-a'), await cluster.bucket('pair-b')];
    const state = path.join(work, 'pair');
    const args = ['s3://pair-a', 's3://pair-b', '--both', '--json', '--state', state];
    const textOf = async (client: ObjectClient, key: string): Promise<string> =>
      (await client.getBytes(key)).bytes.toString();
    await a.put('of-a', Buffer.from('1'));
    await b.put('of-b', Buffer.from('2'));
    await b.put('contested', Buffer.from('3'));
    let interrupt: () => void = () => {};
    const following = copy([...args, '--follow', '--every', '10m', '--delete-guard', '60'], (how) => (interrupt = how));
    await settles(async () => {
      for (const side of [a, b]) assert.deepEqual(await keysOf(side), ['contested', 'of-a', 'of-b']);
    });
    // From here on by the change logs of both.
    await b.put('since', Buffer.from('written at b'));
    await a.put('of-b', Buffer.from('changed at a'));
    await b.delete('of-a');
    await settles(async () => {
      assert.deepEqual(await keysOf(a), ['contested', 'of-b', 'since']);
      assert.deepEqual(await keysOf(b), ['contested', 'of-b', 'since']);
      assert.equal(await textOf(b, 'of-b'), 'changed at a');
    });
    interrupt();
    assert.equal((await following).code, 0);
    await a.put('contested', Buffer.from('by a'));
    await b.put('contested', Buffer.from('by b'));
    assert.equal((await copy(args)).code, 3);
    const [listed] = readFileSync(path.join(state, 'conflicts.jsonl'), 'utf8').trim().split('\n');
    assert.equal((JSON.parse(listed!) as { key: string }).key, 'contested');
    assert.deepEqual([await textOf(a, 'contested'), await textOf(b, 'contested')], ['by a', 'by b']);
    const settled = await copy([...args, '--conflicts', 'b', '--include', '/contested']);
    assert.deepEqual([settled.code, await textOf(a, 'contested')], [0, 'by b'], settled.stderr);
    assert.equal(readFileSync(path.join(state, 'conflicts.jsonl'), 'utf8'), '');
  },
);

test(
  'a bucket moves: assessed, caught up, cut over when nobody writes, and rolled back',
  { timeout: 120_000 },
  async () => {
    const [a, b] = [await cluster.bucket('move-a'), await cluster.bucket('move-b')];
    for (let i = 0; i < 8; i++) await a.put(`k${i}`, Buffer.from(`${i}`), { metadata: { n: `${i}` } });
    const state = path.join(work, 'move');
    const step = (name: string, ...more: string[]): Promise<Ended> =>
      muster(['migrate', name, 's3://move-a', 's3://move-b', '--state', state, '--json', ...more]);
    const found = (await step('assess', '--sample', '100', '--objects-per-second', '4')).lines.at(-1) as {
      objects: number;
      sampledWith: { metadata: number };
      durationMs: { value: number };
    };
    assert.deepEqual([found.objects, found.sampledWith.metadata, found.durationMs.value], [8, 8, 2_000]);
    const early = await step('cut-over', '--writes-stopped');
    assert.deepEqual([early.code, /run comes first/.test(early.stderr)], [2, true], early.stderr);
    const ran = await step('run');
    assert.deepEqual([ran.code, ran.lines.at(-1)?.['kind']], [0, 'caught-up'], ran.stderr);
    await a.delete('k7');
    await a.put('late', Buffer.from('x'));
    const unsaid = await step('cut-over');
    assert.deepEqual([unsaid.code, /--writes-stopped: is missing/.test(unsaid.stderr)], [2, true], unsaid.stderr);
    let isWriting = true;
    const writing = (async () => {
      // One after the other: one that is late must not come in behind the delete.
      for (; isWriting; await sleep(100)) await a.put('busy', randomBytes(9));
    })();
    const busy = await step('cut-over', '--probe', '1s');
    isWriting = false;
    await writing;
    assert.deepEqual([busy.code, /FENCE_UNCONFIRMED/.test(busy.stderr)], [4, true], busy.stderr);
    await a.delete('busy');
    await b.put('stray', Buffer.from('of somebody'));
    const differs = await step('cut-over', '--writes-stopped', '--delete-guard', '50');
    assert.deepEqual([differs.code, differs.lines.at(-1)?.['examples']], [3, ['only-target stray']], differs.stderr);
    await b.delete('stray');
    const ready = await step('cut-over', '--probe', '200ms', '--properties');
    assert.deepEqual([ready.code, ready.lines.at(-1)?.['objects']], [0, 8], ready.stderr);
    assert.equal((await step('run')).code, 2);
    await b.put('k0', Buffer.from('written at the new place'));
    const back = await step('roll-back');
    assert.equal(back.code, 0, back.stderr);
    assert.equal((await a.getBytes('k0')).bytes.toString(), 'written at the new place');
    const status = (await step('status')).lines.at(-1) as { phase: string; events: { phase: string }[] };
    assert.equal(status.phase, 'rolled-back');
    assert.deepEqual(status.events.map(({ phase }) => phase).slice(-2), ['cut-over', 'rolled-back']);
  },
);

test(
  'objects go by the rules of a file: counted first, then moved, and what cannot go stays',
  { timeout: 60_000 },
  async () => {
    const [a, b] = [await cluster.bucket('rules-a'), await cluster.bucket('rules-b')];
    for (const [key, bytes] of Object.entries({
      'logs/1': 100,
      'logs/2': 100,
      'logs/tiny': 1,
      'doc/1': 100,
      'doc/2': 100,
    }))
      await a.put(key, Buffer.alloc(bytes, key));
    await a.putTags('doc/1', { keep: 'no' });
    await b.put('old/logs/2', Buffer.from('of others'));
    const file = path.join(work, 'rules.yaml');
    writeFileSync(
      file,
      `to: s3://rules-b/old
rules:
  - { name: logs, prefix: logs/, minSize: 0.01K, migrate: { keepSource: false } }
  - { name: tagged, prefix: doc/, tag: { keep: "no" }, migrate: { keepSource: true } }
`,
    );
    const args = ['s3://rules-a', '--rules', file, '--json'];
    const planned = await muster(['lifecycle', 'plan', ...args]);
    assert.deepEqual(
      planned.lines.map(({ rule, objects, sizeBytes }) => [rule, objects, sizeBytes]),
      [
        ['logs', 2, 200],
        ['tagged', 1, 100],
      ],
      planned.stderr,
    );
    const stateless = await muster(['lifecycle', 'run', ...args]);
    assert.deepEqual([stateless.code, /--state: is missing/.test(stateless.stderr)], [2, true], stateless.stderr);
    const ran = await muster(['lifecycle', 'run', ...args, '--state', path.join(work, 'rules')]);
    const rules = ran.lines.filter(({ type }) => type === 'rule').map(({ rule, done, failed }) => [rule, done, failed]);
    assert.deepEqual(rules, [
      ['logs', 1, 1],
      ['tagged', 1, 0],
    ]);
    assert.equal(ran.code, 3, ran.stderr);
    assert.deepEqual(await keysOf(a), ['doc/1', 'doc/2', 'logs/2', 'logs/tiny']);
    assert.deepEqual(await keysOf(b), ['old/doc/1', 'old/logs/1', 'old/logs/2']);
  },
);
