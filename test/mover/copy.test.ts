import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openLmdbLedger } from '../../activities/mover/ledger/lmdb-ledger.ts';
import {
  type ObjectEvent,
  type PassInput,
  type PassResult,
  type PassRule,
  usualPassRule,
} from '../../activities/mover/run/pass.ts';
import { runPass } from '../../activities/mover/run/run-pass.ts';
import { openObjects } from '../../activities/objects/open.ts';
import { type ObjectClient } from '../../activities/objects/types.ts';
import { type MoverCluster, startMoverCluster } from './support/cluster.ts';
import { type Relay, startRelay } from './support/relay.ts';

let cluster: MoverCluster;
let relay: Relay;
let work: string;
before(async () => {
  cluster = await startMoverCluster();
  relay = await startRelay(cluster.endpoint);
  work = mkdtempSync(path.join(os.tmpdir(), 'muster-mover-test-'));
});
after(async () => {
  await relay?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

let made = 0;
async function pair(): Promise<[ObjectClient, ObjectClient]> {
  made += 1;
  return [await cluster.bucket(`source-${made}`), await cluster.bucket(`target-${made}`)];
}
const copyRule = usualPassRule.copy;
function pass(
  from: ObjectClient,
  to: ObjectClient,
  rule: Partial<PassRule> = {},
  more: Partial<PassInput> = {},
): Promise<PassResult> {
  return runPass({
    ...{
      source: { client: from, prefix: '' },
      target: { client: to, prefix: '' },
      rule: { ...usualPassRule, ...rule },
    },
    ...more,
  }).finished;
}
async function textOf(client: ObjectClient, key: string): Promise<string> {
  return (await client.getBytes(key)).bytes.toString();
}
async function keysOf(client: ObjectClient): Promise<string[]> {
  return (await client.list()).objects.map(({ key }) => key);
}

const oddKeys = [
  ...[
    'plain',
    'sp ace',
    '.',
    '..',
    'a/../b',
    '/lead',
    'trail/',
    '//',
    'emoji\u{1f600}',
    '\uff5e',
    'per%20cent',
    'plus+',
  ],
  ...['q?x=1&y', 'tab\there', '<xml>&"', "a'b", 'back\\slash', 'ünï', 'x'.repeat(1_000), '\u{10ffff}'],
];

test('every object arrives with its name, bytes, content headers and metadata, and a second pass finds nothing', async () => {
  const [a, b] = await pair();
  for (const key of oddKeys)
    await a.put(key, Buffer.from(`text of ${key}`), {
      metadata: { who: 'me' },
      content: { contentType: 'text/odd', cacheControl: 'no-cache' },
    });
  await a.put('zero', Buffer.alloc(0));
  const middle = randomBytes(5 * 1024 * 1024);
  await a.put('middle', middle);
  const first = await pass(a, b);
  assert.deepEqual([first.kind, first.counts.copied, first.counts.failed], ['complete', oddKeys.length + 2, 0]);
  for (const key of oddKeys) assert.equal(await textOf(b, key), `text of ${key}`);
  const { info, bytes } = await b.getBytes('middle');
  assert.ok(bytes.equals(middle));
  assert.equal(info.checksums.crc64nvme, (await a.head('middle')).checksums.crc64nvme);
  const head = await b.head('plain');
  assert.deepEqual(
    [head.content.contentType, head.content.cacheControl, head.metadata['who']],
    ['text/odd', 'no-cache', 'me'],
  );
  assert.equal((await b.head('zero')).sizeBytes, 0);
  const second = await pass(a, b);
  assert.deepEqual([second.counts.copied, second.counts.same], [0, oddKeys.length + 2]);
});

test('a prefix of one bucket goes below another prefix of the other, and filters hold on both sides', async () => {
  const [a, b] = await pair();
  for (const key of ['in/a.txt', 'in/b.log', 'in/deep/c.txt', 'out/d.txt']) await a.put(key, Buffer.from(key));
  await b.put('copy/z.log', Buffer.from('not to be touched'));
  const result = await runPass({
    ...{ source: { client: a, prefix: 'in/' }, target: { client: b, prefix: 'copy/' } },
    rule: { ...usualPassRule, filter: { exclude: ['*.log'] }, deleteShare: 1 },
  }).finished;
  assert.equal(result.kind, 'complete');
  assert.deepEqual(await keysOf(b), ['copy/a.txt', 'copy/deep/c.txt', 'copy/z.log']);
});

test('properties that change without the bytes are written anew', async () => {
  const [a, b] = await pair();
  await a.put('k', Buffer.from('x'), { metadata: { v: '1' } });
  await pass(a, b);
  await a.put('k', Buffer.from('x'), { metadata: { v: '2' } });
  const result = await pass(a, b, { compareProperties: true });
  assert.deepEqual([result.counts.refreshed, (await b.head('k')).metadata['v']], [1, '2']);
  assert.equal((await pass(a, b, { compareProperties: true })).counts.refreshed, 0);
});

test('a stale copy never overwrites a newer object', async () => {
  const [a, b] = await pair();
  await a.put('k', Buffer.from('old'));
  const held: { release: () => void } = { release: () => {} };
  const through = openObjects(cluster.place(b.bucket, { endpoint: relay.endpoint }));
  const arrived = new Promise<void>((resolve) => {
    relay.rule = {
      before: async ({ method, url }) => {
        if (method !== 'PUT' || !url.endsWith('/k')) return undefined;
        relay.rule = {};
        resolve();
        await new Promise<void>((go) => (held.release = go));
        return undefined;
      },
    };
  });
  const stale = pass(a, through);
  await arrived;
  await a.put('k', Buffer.from('new'));
  const fresh = await pass(a, b);
  assert.equal(fresh.counts.copied, 1);
  held.release();
  const late = await stale;
  assert.equal(await textOf(b, 'k'), 'new');
  assert.equal(late.counts.failed, 0);
  await through[Symbol.asyncDispose]();
});

test('a source that changes while it is read is taken again as it is', async () => {
  const [a, b] = await pair();
  const [first, second] = [randomBytes(6 * 1024 * 1024), randomBytes(7 * 1024 * 1024)];
  await a.put('k', first);
  const through = openObjects(cluster.place(a.bucket, { endpoint: relay.endpoint }));
  let heads = 0;
  relay.rule = {
    before: async ({ method, url }) => {
      if (method === 'HEAD' && url.endsWith('/k')) heads += 1;
      // Between the look at it and the reading of it.
      if (method === 'GET' && url.endsWith('/k') && heads === 1) {
        heads += 1;
        await a.put('k', second);
      }
      return undefined;
    },
  };
  const result = await pass(through, b);
  relay.rule = {};
  assert.deepEqual([result.counts.copied, result.counts.failed], [1, 0]);
  assert.ok((await b.getBytes('k')).bytes.equals(second));
  await through[Symbol.asyncDispose]();
});

for (const { name, sizeBytes, times } of [
  { name: 'a small object', sizeBytes: 10_000, times: 1 },
  { name: 'a streamed object', sizeBytes: 3_000_000, times: 1 },
  { name: 'an object in parts', sizeBytes: 12_000_000, times: 1 },
]) {
  test(`a byte that flips on the way out of the source is caught, and the object taken again: ${name}`, async () => {
    const [a, b] = await pair();
    const bytes = randomBytes(sizeBytes);
    await a.put('k', bytes);
    const through = openObjects(cluster.place(a.bucket, { endpoint: relay.endpoint }));
    let flips = 0;
    relay.rule = {
      answer: ({ method, url }, chunk) => {
        if (method !== 'GET' || !url.endsWith('/k') || flips >= times) return chunk;
        flips += 1;
        const flipped = Buffer.from(chunk);
        flipped[flipped.length >> 1]! ^= 1;
        return flipped;
      },
    };
    const parts = { copy: { ...copyRule, multipartBytes: 8_000_000, partBytes: 5 * 1024 * 1024 } };
    const result = await pass(through, b, parts);
    relay.rule = {};
    assert.equal(flips, times);
    assert.deepEqual([result.counts.copied, result.counts.failed], [1, 0]);
    assert.ok((await b.getBytes('k')).bytes.equals(bytes));
    assert.deepEqual((await b.listUploads()).uploads, []);
    await through[Symbol.asyncDispose]();
  });
}

test('a source that always brings damaged bytes fails by name, and the target never has the object', async () => {
  const [a, b] = await pair();
  await a.put('k', randomBytes(3_000_000));
  const through = openObjects(cluster.place(a.bucket, { endpoint: relay.endpoint }));
  relay.rule = {
    answer: ({ method, url }, chunk) => {
      if (method === 'GET' && url.endsWith('/k')) chunk[0]! ^= 1;
      return chunk;
    },
  };
  const events: ObjectEvent[] = [];
  const result = await pass(through, b, {}, { onObject: (event) => events.push(event) });
  relay.rule = {};
  assert.equal(result.counts.failed, 1);
  assert.ok(events[0]?.kind === 'outcome' && events[0].outcome.kind === 'failed');
  assert.equal(events[0].outcome.code, 'CHECKSUM_MISMATCH', events[0].outcome.message);
  assert.deepEqual(await keysOf(b), []);
  await through[Symbol.asyncDispose]();
});

test(
  'a mover killed in the middle of a large object goes on without sending a part twice, and leaves no upload',
  { timeout: 60_000 },
  async () => {
    const [a, b] = await pair();
    const partBytes = 5 * 1024 * 1024;
    const bytes = randomBytes(10 * partBytes + 12_345);
    await a.put('big', bytes);
    const arrived: string[] = [];
    let resolveEnough = (): void => {};
    const enough = new Promise<void>((resolve) => (resolveEnough = resolve));
    relay.rule = {
      after: ({ method, url }, status) => {
        const part = /partNumber=(\d+)/.exec(url)?.[1];
        if (method !== 'PUT' || part === undefined || status !== 200) return;
        arrived.push(part);
        if (arrived.length === 4) resolveEnough();
      },
    };
    const state = path.join(work, 'killed');
    const orders = {
      ...{ source: cluster.place(a.bucket), target: cluster.place(b.bucket, { endpoint: relay.endpoint }) },
      ...{ state, partBytes },
    };
    const mover = (): ReturnType<typeof spawn> =>
      spawn(process.execPath, [path.join(import.meta.dirname, 'support', 'copy-process.ts')], {
        env: { ...process.env, MOVER_ORDERS: JSON.stringify(orders) },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
    const first = mover();
    await enough;
    first.kill('SIGKILL');
    await new Promise((resolve) => first.once('exit', resolve));
    const second = mover();
    let said = '';
    second.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await new Promise((resolve) => second.once('close', resolve));
    relay.rule = {};
    const result = JSON.parse(said) as PassResult;
    assert.deepEqual([result.kind, result.counts.copied], ['complete', 1]);
    const hash = (of: Buffer): string => createHash('sha256').update(of).digest('hex');
    assert.equal(hash((await b.getBytes('big')).bytes), hash(bytes));
    assert.deepEqual((await b.listUploads()).uploads, []);
    assert.deepEqual(arrived.toSorted(), [...new Set(arrived)].toSorted(), 'a part was sent twice');
    await using ledger = openLmdbLedger(state);
    assert.equal(await ledger.upload({ key: 'big', version: '' }), undefined);
  },
);

test('deletes follow, guarded, and what came back to the source meanwhile stays', async () => {
  const [a, b] = await pair();
  for (let i = 0; i < 30; i++) await a.put(`k${i}`, Buffer.from('x'));
  await pass(a, b);
  await a.deleteMany(['k1', 'k2'].map((key) => ({ key })));
  const done = await pass(a, b, { deleteShare: 0.1 });
  assert.deepEqual([done.kind, done.counts.deleted], ['complete', 2]);
  assert.equal((await keysOf(b)).length, 28);
  await a.deleteMany(Array.from({ length: 20 }, (_, i) => ({ key: `k${i}` })));
  const stopped = await pass(a, b, { deleteShare: 0.1 });
  assert.ok(stopped.kind === 'stopped' && stopped.code === 'DELETE_GUARD');
  assert.equal((await keysOf(b)).length, 28);
});

test('all versions go, oldest first, with their delete markers, and later ones are added', async () => {
  const [a, b] = await pair();
  for (const client of [a, b]) await client.setVersioning('enabled');
  for (const text of ['one', 'two']) await a.put('k', Buffer.from(text));
  await a.delete('k');
  await a.put('k', Buffer.from('three'));
  await a.put('gone', Buffer.from('x'));
  await a.delete('gone');
  const history = async (client: ObjectClient): Promise<string[]> =>
    (await client.listVersions()).versions.map(
      ({ key, deleteMarker, etag }) => `${key} ${deleteMarker ? 'deleted' : etag}`,
    );
  const first = await pass(a, b, { versions: true });
  assert.equal(first.kind, 'complete', JSON.stringify(first));
  assert.deepEqual(await history(b), await history(a));
  await a.put('k', Buffer.from('four'));
  const second = await pass(a, b, { versions: true });
  assert.equal(second.counts.copied, 1);
  assert.deepEqual(await history(b), await history(a));
});

test('a bucket whose versioning was suspended is refused by name where versions shall be kept', async () => {
  const [a, b] = await pair();
  await a.setVersioning('enabled');
  await b.setVersioning('enabled');
  await b.setVersioning('suspended');
  await a.put('k', Buffer.from('x'));
  const result = await pass(a, b, { versions: true });
  assert.ok(result.kind === 'stopped' && result.code === 'VERSIONING_SUSPENDED');
  assert.deepEqual(await keysOf(b), []);
});

test('objects go from S3 to OSS and come back the same', async () => {
  const [a, b] = await pair();
  const c = await cluster.bucket(`home-${made}`);
  const oss = openObjects(cluster.place(b.bucket, { dialect: 'oss', region: 'cn-hangzhou' }));
  await a.put('small', Buffer.from('text'), { metadata: { who: 'me' }, content: { contentType: 'text/plain' } });
  const large = randomBytes(12_000_000);
  await a.put('large', large);
  const parts = { copy: { ...copyRule, multipartBytes: 8_000_000, partBytes: 5 * 1024 * 1024 } };
  const out = await pass(a, oss, parts);
  assert.deepEqual([out.kind, out.counts.copied, out.counts.failed], ['complete', 2, 0], JSON.stringify(out));
  const back = await pass(oss, c, parts);
  assert.deepEqual([back.kind, back.counts.copied, back.counts.failed], ['complete', 2, 0], JSON.stringify(back));
  assert.ok((await c.getBytes('large')).bytes.equals(large));
  const head = await c.head('small');
  assert.deepEqual([head.metadata['who'], head.content.contentType], ['me', 'text/plain']);
  assert.equal((await pass(a, oss, parts)).counts.copied, 0);
  await oss[Symbol.asyncDispose]();
});

test('what is compared only is told, and nothing is written', async () => {
  const [a, b] = await pair();
  for (const key of ['both', 'differs', 'here']) await a.put(key, Buffer.from(`a ${key}`));
  for (const key of ['both', 'differs', 'there']) await b.put(key, Buffer.from(key === 'both' ? 'a both' : `b ${key}`));
  const told: string[] = [];
  await pass(a, b, { mode: 'compare' }, { onObject: ({ kind, key }) => told.push(`${kind} ${key}`) });
  assert.deepEqual(told.toSorted(), ['different differs', 'only-source here', 'only-target there']);
  assert.deepEqual(await keysOf(b), ['both', 'differs', 'there']);
});
