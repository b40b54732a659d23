/** The continuous replication of a bucket, between two real clusters over links that can be cut. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { guardedBucket } from '../../activities/drivers/bucket/guarded.ts';
import type { PerformOutcome } from '../../activities/driver.ts';
import { openLedger } from '../../worker/ledger/ledger.ts';
import type { JsonObject } from '../../workflows/engine/plan.ts';
import { startTemporal } from '../support/temporal.ts';
import { startBucketPair, settles, type Bucket, type BucketPair } from './support/bucket-pair.ts';
import { verbsOf } from './support/bucket-verbs.ts';
import { startReplicating, type Replicating } from './support/replicating.ts';
import { startProtectionWorker } from './support/worker.ts';

let pair: BucketPair;
before(async () => {
  pair = await startBucketPair();
});
after(async () => {
  await pair?.[Symbol.asyncDispose]();
});

async function caughtUp(bucket: Bucket, replication: Replicating): Promise<void> {
  await settles(async () => {
    assert.equal(replication.status()?.backlogObjects, 0);
    assert.deepEqual(await bucket.contents('beijing'), await bucket.contents('hangzhou'));
  });
}

function evidenceOf(outcome: PerformOutcome): JsonObject {
  assert.equal(outcome.status, 'done', 'why' in outcome ? outcome.why : '');
  return outcome.status === 'done' ? outcome.evidence : {};
}

function figureOf(outcome: PerformOutcome, name: string): { value: number | null; confidence: string } | undefined {
  assert.equal(outcome.status, 'done');
  return outcome.status === 'done' ? outcome.measurements.find((one) => one.name === name) : undefined;
}

function linesOf(file: unknown): JsonObject[] {
  return readFileSync(String(file), 'utf8')
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JsonObject);
}

const limits = { timeout: 60_000 };

test('writes, metadata and deletes arrive at a standby that takes no write of a client', limits, async () => {
  const bucket = await pair.begin();
  const [a, b] = [bucket.at('hangzhou'), bucket.at('beijing')];
  await a.put('before', Buffer.from('1'));
  await using replication = startReplicating(bucket);
  await caughtUp(bucket, replication);
  await a.put('before', Buffer.from('2'));
  await a.put('with/metadata', Buffer.from('3'), { metadata: { v: '1' } });
  await a.put('odd \u{1f600} key', Buffer.from(''));
  await caughtUp(bucket, replication);
  await a.put('with/metadata', Buffer.from('3'), { metadata: { v: '2' } });
  await a.delete('before');
  await caughtUp(bucket, replication);
  await settles(async () => assert.equal((await b.head('with/metadata')).metadata['v'], '2'));
  assert.deepEqual(Object.keys(await bucket.contents('beijing')), ['odd \u{1f600} key', 'with/metadata']);
  await settles(() => {
    const { oldestPendingAgeSeconds, phase, epoch, failed } = replication.status()!;
    assert.deepEqual([phase, epoch, failed], ['following', bucket.epoch, 0]);
    assert.ok(oldestPendingAgeSeconds! > 0 && oldestPendingAgeSeconds! < 2, `${oldestPendingAgeSeconds}`);
  });
  assert.equal(await guardedBucket(bucket.direct, 'beijing').role(), 'standby');
  assert.equal(await guardedBucket(bucket.direct, 'hangzhou').role(), 'primary');
  await replication.stop();
  await settles(() => assert.rejects(b.put('stranger', Buffer.from('x'), {}, { deadlineMs: 300 }), /lease/));
});

test(
  'with the link to the standby cut the age grows with the truth, and the freeze names the lost keys',
  limits,
  async () => {
    const bucket = await pair.begin();
    const a = bucket.at('hangzhou');
    await using replication = startReplicating(bucket);
    for (let i = 0; i < 20; i++) await a.put(`k${i}`, Buffer.from(`one ${i}`));
    await caughtUp(bucket, replication);
    pair.link('beijing', { kind: 'black-hole' });
    // The first lost write is dated between its call and its answer.
    const calledMs = Date.now();
    await a.put('k15', Buffer.from('two 15'));
    const answeredMs = Date.now();
    for (let i = 16; i < 25; i++) await a.put(`k${i}`, Buffer.from(`two ${i}`));
    await a.delete('k0');
    await settles(() => assert.equal(replication.status()?.backlogObjects, 11));
    await settles(() => assert.ok(replication.status()!.oldestPendingAgeSeconds! > 3));
    const { oldestPendingAgeSeconds, atMs } = replication.status()!;
    const assertTrue = (saidSeconds: number, untilMs: number): void => {
      const [least, most] = [(untilMs - answeredMs) / 1_000, (untilMs - calledMs) / 1_000];
      assert.ok(saidSeconds >= least - 0.1 && saidSeconds <= most + 1, `${saidSeconds} said, ${least} to ${most} true`);
    };
    assertTrue(oldestPendingAgeSeconds!, atMs);
    pair.link('hangzhou', { kind: 'black-hole' });
    const faultMs = Date.now();
    await pair.fence('hangzhou', bucket.epoch + 1);
    // What is on its way when the link is mended would arrive behind the count.
    await replication.stop();
    pair.link('beijing', { kind: 'clear' });
    const run = { kind: 'failover', mode: 'ungraceful', from: 'hangzhou', epoch: bucket.epoch + 1 } as const;
    const perform = verbsOf(bucket, { ...run, clocks: { fault: faultMs } });
    const frozen = await perform('observe', { freeze: true });
    const { lostFile, lostObjects, complete } = evidenceOf(frozen);
    assert.equal(complete, false);
    const [hangzhou, beijing] = [await bucket.contents('hangzhou'), await bucket.contents('beijing')];
    const truth = Object.keys({ ...hangzhou, ...beijing }).filter((key) => hangzhou[key] !== beijing[key]);
    const [header, ...lost] = linesOf(lostFile);
    assert.deepEqual([header!['kind'], header!['writes'], lostObjects], ['losses', truth.length, truth.length]);
    assert.deepEqual(lost.map(({ key }) => key as string).toSorted(), truth.toSorted());
    const rpo = figureOf(frozen, 'rpoSeconds')!;
    assertTrue(rpo.value!, faultMs);
    assert.equal(rpo.confidence, 'measured');
    assert.deepEqual(await perform('observe', { freeze: true }), frozen, 'a freeze may be repeated');
  },
);

test('of a source whose log is silent nothing is claimed, and it is followed again without a gap', limits, async () => {
  const bucket = await pair.begin();
  const a = bucket.at('hangzhou');
  await using replication = startReplicating(bucket);
  await a.put('before', Buffer.from('1'));
  await caughtUp(bucket, replication);
  pair.link('hangzhou', { kind: 'black-hole' });
  await a.put('unseen', Buffer.from('2'));
  await settles(() => {
    const { oldestPendingAgeSeconds, backlogObjects, etaSeconds, why } = replication.status()!;
    assert.deepEqual([oldestPendingAgeSeconds, backlogObjects, etaSeconds], [null, null, null]);
    assert.match(why!, /the change log of hangzhou does not answer/);
  });
  const run = { kind: 'failover', from: 'hangzhou', epoch: bucket.epoch + 1 } as const;
  const lag = await verbsOf(bucket, run)('observe', { prepare: true });
  assert.deepEqual([evidenceOf(lag)['inside'], figureOf(lag, 'rpoSeconds')?.confidence], [false, 'unknown']);
  pair.link('hangzhou', { kind: 'clear' });
  await caughtUp(bucket, replication);
  assert.equal((await bucket.contents('beijing'))['unseen'], '2');
});

test('a planned move loses nothing, turns round, and comes home', limits, async () => {
  const bucket = await pair.begin();
  const [a, b] = [bucket.at('hangzhou'), bucket.at('beijing')];
  await using replication = startReplicating(bucket);
  for (let i = 0; i < 30; i++) await a.put(`k${i}`, Buffer.from(`${i}`));
  const there = { kind: 'failover', from: 'hangzhou', epoch: bucket.epoch + 1 } as const;
  const move = verbsOf(bucket, there);
  await settles(() => assert.equal(replication.status()?.phase, 'following'));
  await pair.fence('hangzhou', there.epoch);
  const frozen = await move('observe', { freeze: true });
  assert.deepEqual([evidenceOf(frozen)['complete'], figureOf(frozen, 'rpoSeconds')?.value], [true, 0]);
  await pair.openAt('beijing', there.epoch);
  assert.equal(Object.keys(await bucket.contents('beijing')).length, 30);
  await b.put('k1', Buffer.from('newer'));
  await b.delete('k2');
  assert.equal(evidenceOf(await move('rejoin', { site: 'hangzhou', upstream: 'beijing' }))['kept'], 0);
  const again = await move('replicate', { standby: 'hangzhou' }, 30_000);
  assert.deepEqual([evidenceOf(again)['from'], evidenceOf(again)['to']], ['beijing', 'hangzhou']);
  await settles(async () => assert.deepEqual(await bucket.contents('hangzhou'), await bucket.contents('beijing')));
  const home = { kind: 'failback', from: 'beijing', epoch: there.epoch + 1 } as const;
  const back = verbsOf(bucket, home);
  await pair.fence('beijing', home.epoch);
  assert.equal(evidenceOf(await back('observe', { freeze: true }))['complete'], true);
  await pair.openAt('hangzhou', home.epoch);
  assert.equal(evidenceOf(await back('rejoin', { site: 'beijing', upstream: 'hangzhou' }))['kept'], 0);
  evidenceOf(await back('replicate', { standby: 'beijing' }, 30_000));
  await a.put('home', Buffer.from('1'));
  await caughtUp(bucket, replication);
});

test(
  'after a failover that lost writes both sides are listed, and nothing is overwritten that was not kept',
  limits,
  async () => {
    const bucket = await pair.begin();
    const [a, b] = [bucket.at('hangzhou'), bucket.at('beijing')];
    await using replication = startReplicating(bucket);
    for (const key of ['same', 'both', 'old-only', 'new-only', 'gone']) await a.put(key, Buffer.from('agreed'));
    await caughtUp(bucket, replication);
    pair.link('hangzhou', { kind: 'black-hole' });
    for (const key of ['both', 'old-only', 'old-new-key']) await a.put(key, Buffer.from('of the old writer'));
    await a.delete('gone');
    const epoch = bucket.epoch + 1;
    await pair.fence('hangzhou', epoch);
    const failover = { kind: 'failover', mode: 'ungraceful', from: 'hangzhou', epoch } as const;
    evidenceOf(await verbsOf(bucket, { ...failover, clocks: { fault: Date.now() } })('observe', { freeze: true }));
    await pair.openAt('beijing', epoch);
    for (const key of ['both', 'new-only', 'made-since']) await b.put(key, Buffer.from('of the new writer'));
    pair.link('hangzhou', { kind: 'clear' });
    const reprotect = verbsOf(bucket, { kind: 'reprotect', from: 'beijing', epoch });
    const set = evidenceOf(await reprotect('backup', { diverged: true }));
    assert.deepEqual(
      linesOf(set['file'])
        .map(({ key, kind }) => `${key as string} ${kind as string}`)
        .toSorted(),
      ['both both', 'gone old-only', 'old-new-key old-only', 'old-only old-only'],
    );
    assert.deepEqual([set['objects'], set['at']], [4, 'control']);
    assert.equal(evidenceOf(await reprotect('rejoin', { site: 'hangzhou', upstream: 'beijing' }))['kept'], 3);
    evidenceOf(await reprotect('replicate', { standby: 'hangzhou' }, 30_000));
    await settles(async () => assert.deepEqual(await bucket.contents('hangzhou'), await bucket.contents('beijing')));
    assert.deepEqual(await bucket.contents('beijing'), {
      ...{ same: 'agreed', both: 'of the new writer', 'old-only': 'agreed', 'new-only': 'of the new writer' },
      ...{ gone: 'agreed', 'made-since': 'of the new writer' },
    });
    for (const key of ['both', 'old-only', 'old-new-key']) {
      const { bytes } = await a.getBytes(`.muster/kept/e${epoch}/${key}`);
      assert.equal(bytes.toString(), 'of the old writer', key);
    }
  },
);

test('of a bucket that is copied in part, that part alone is copied, lost, and quarrelled about', limits, async () => {
  const bucket = await pair.begin({ replicate: { deleteGuard: 100, prefix: 'receipts/', exclude: ['*.tmp'] } });
  const [a, b] = [bucket.at('hangzhou'), bucket.at('beijing')];
  const keys = ['drafts/1', 'receipts/1', 'receipts/1.tmp', 'receipts/2'];
  for (const key of keys) await a.put(key, Buffer.from('agreed'));
  await using replication = startReplicating(bucket);
  await settles(async () => {
    assert.deepEqual(Object.keys(await bucket.contents('beijing')), ['receipts/1', 'receipts/2']);
    assert.equal(replication.status()?.backlogObjects, 0);
  });
  pair.link('beijing', { kind: 'black-hole' });
  for (const key of keys) await a.put(key, Buffer.from('lost'));
  await settles(() => assert.equal(replication.status()?.backlogObjects, 2));
  pair.link('hangzhou', { kind: 'black-hole' });
  const epoch = bucket.epoch + 1;
  await pair.fence('hangzhou', epoch);
  await replication.stop();
  pair.link('beijing', { kind: 'clear' });
  const failover = { kind: 'failover', mode: 'ungraceful', from: 'hangzhou', epoch } as const;
  const frozen = await verbsOf(bucket, { ...failover, clocks: { fault: Date.now() } })('observe', { freeze: true });
  const [, ...lost] = linesOf(evidenceOf(frozen)['lostFile']);
  assert.deepEqual(lost.map(({ key }) => key as string).toSorted(), ['receipts/1', 'receipts/2']);
  await pair.openAt('beijing', epoch);
  for (const key of keys) await b.put(key, Buffer.from('since'));
  pair.link('hangzhou', { kind: 'clear' });
  const set = evidenceOf(
    await verbsOf(bucket, { kind: 'reprotect', from: 'beijing', epoch })('backup', { diverged: true }),
  );
  assert.deepEqual(
    linesOf(set['file'])
      .map(({ key }) => key as string)
      .toSorted(),
    ['receipts/1', 'receipts/2'],
  );
});

test('a fence that was taken back lets the replication go on the same way', limits, async () => {
  const bucket = await pair.begin();
  const a = bucket.at('hangzhou');
  await using replication = startReplicating(bucket);
  await a.put('before', Buffer.from('1'));
  await caughtUp(bucket, replication);
  const epoch = bucket.epoch + 1;
  await pair.fence('hangzhou', epoch);
  const run = { kind: 'failover', from: 'hangzhou', epoch } as const;
  evidenceOf(await verbsOf(bucket, run)('observe', { freeze: true }));
  await settles(() => assert.equal(replication.status()?.phase, 'frozen'));
  await pair.openAt('hangzhou', epoch);
  await a.put('after', Buffer.from('2'));
  await caughtUp(bucket, replication);
  assert.equal(replication.status()?.epoch, epoch);
});

const program = path.join(import.meta.dirname, '../../cli/main.ts');

/** An estate of this bucket, for commands. */
function writeEstate({ resource: { shared, sites } }: Bucket): string {
  const file = path.join(pair.dir, 'muster.yaml');
  const shop = {
    ...{ primary: 'hangzhou', standby: 'beijing', objectives: { rpoSeconds: 30, rtoSeconds: 120 } },
    resources: { receipts: { driver: 'bucket', bucket: shared['bucket'], replication: 'async', ...sites } },
  };
  const control = { url: 'env:TEST_CONTROL_URL', token: 'env:TEST_CONTROL_TOKEN' };
  writeFileSync(file, stringify({ version: 1, control, sites: { hangzhou: {}, beijing: {} }, services: { shop } }));
  return file;
}

test('while it is paused by the command the loss is unknown, not nothing; resumed it catches up', async () => {
  const bucket = await pair.begin();
  const a = bucket.at('hangzhou');
  await using temporal = await startTemporal();
  const ledger = openLedger('postgres://nobody@127.0.0.1:9/nothing');
  const endWorker = await startProtectionWorker(temporal.address, ledger, bucket.home);
  const env = {
    ...{ ...process.env, MUSTER_ESTATE: writeEstate(bucket), TEMPORAL_ADDRESS: temporal.address, NO_COLOR: '1' },
    ...{ TEST_CONTROL_URL: 'http://127.0.0.1:9', TEST_CONTROL_TOKEN: 'a token of sixteen characters' },
  };
  const muster = (...args: string[]): Promise<{ code: number; out: string }> =>
    new Promise((resolve) => {
      execFile(process.execPath, [program, 'replicate', ...args], { env }, (err, out, said) =>
        resolve({ code: err === null ? 0 : Number(err.code), out: out + said }),
      );
    });
  const status = async (): Promise<JsonObject> => {
    const { code, out } = await muster('status', 'shop/receipts', '--json');
    return { ...(JSON.parse(out) as JsonObject[])[0], code };
  };
  try {
    await a.put('before', Buffer.from('1'));
    assert.match((await muster('start')).out, /shop\/receipts: started, hangzhou → beijing/);
    await settles(async () => assert.equal((await bucket.contents('beijing'))['before'], '1'), 60_000);
    await settles(async () => {
      const { code, phase, backlogObjects, rpoSeconds } = await status();
      assert.deepEqual([code, phase, backlogObjects, typeof rpoSeconds], [0, 'following', 0, 'number']);
    }, 60_000);

    assert.match((await muster('pause', 'shop/receipts')).out, /shop\/receipts: pauses/);
    await settles(async () => assert.equal((await status())['phase'], 'paused'), 60_000);
    await a.put('meanwhile', Buffer.from('2'));
    const { code, rpoSeconds, backlogObjects, backlogBytes, etaSeconds } = await status();
    assert.deepEqual([code, rpoSeconds, backlogObjects, backlogBytes, etaSeconds], [3, null, null, null, null]);
    const { out } = await muster('status');
    assert.match(out, /paused +unknown +unknown/);
    assert.match(out, /receipts: paused: what would be lost is not known$/m);
    assert.deepEqual(Object.keys(await bucket.contents('beijing')), ['before']);

    assert.match((await muster('resume', 'shop/receipts')).out, /shop\/receipts: goes on/);
    await settles(async () => assert.equal((await bucket.contents('beijing'))['meanwhile'], '2'), 60_000);
    await settles(async () => {
      const now = await status();
      assert.deepEqual([now['code'], now['phase'], now['backlogObjects']], [0, 'following', 0]);
    }, 60_000);
  } finally {
    await temporal.client.workflow
      .getHandle('replicate/shop/receipts')
      .terminate()
      .catch(() => undefined);
    await endWorker();
    await ledger.close();
  }
});
