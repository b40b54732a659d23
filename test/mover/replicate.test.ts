import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { settles as settlesWithin } from '../support/settles.ts';
import { type FollowInput, follow } from '../../activities/mover/changes/follow.ts';
import { openNodeLog } from '../../activities/mover/changes/node-log.ts';
import { findConflicts, turnLedger, type Conflict } from '../../activities/mover/ledger/conflicts.ts';
import { type ReplicationFigures } from '../../activities/mover/ledger/figures.ts';
import { type ReplicationLedger } from '../../activities/mover/ledger/ledger.ts';
import { openLmdbLedger } from '../../activities/mover/ledger/lmdb-ledger.ts';
import { lostWrites } from '../../activities/mover/ledger/lost.ts';
import { type PassInput, type PassResult, type PassRule, usualPassRule } from '../../activities/mover/run/pass.ts';
import { runPass } from '../../activities/mover/run/run-pass.ts';
import { parseTimetable } from '../../activities/mover/run/timetable.ts';
import { openObjects } from '../../activities/objects/open.ts';
import { type ObjectClient } from '../../activities/objects/types.ts';
import { account, type MoverCluster, startMoverCluster } from './support/cluster.ts';
import { type Relay, startRelay } from './support/relay.ts';

let here: MoverCluster;
let there: MoverCluster;
let relay: Relay;
let work: string;
before(async () => {
  [here, there] = await Promise.all([startMoverCluster(), startMoverCluster()]);
  relay = await startRelay(there.endpoint);
  work = mkdtempSync(path.join(os.tmpdir(), 'muster-mover-test-'));
});
after(async () => {
  await relay?.[Symbol.asyncDispose]();
  await Promise.all([here?.[Symbol.asyncDispose](), there?.[Symbol.asyncDispose]()]);
  rmSync(work, { recursive: true, force: true });
});

let made = 0;
async function pair(): Promise<[ObjectClient, ObjectClient]> {
  made += 1;
  return [await here.bucket(`source-${made}`), await there.bucket(`target-${made}`)];
}
const sides = (from: ObjectClient, to: ObjectClient): Pick<PassInput, 'source' | 'target'> => ({
  source: { client: from, prefix: '' },
  target: { client: to, prefix: '' },
});
function pass(
  from: ObjectClient,
  to: ObjectClient,
  rule: Partial<PassRule> = {},
  more: Partial<PassInput> = {},
): Promise<PassResult> {
  return runPass({ ...sides(from, to), rule: { ...usualPassRule, ...rule }, ...more }).finished;
}
async function contents(client: ObjectClient): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { key } of (await client.list()).objects) found[key] = (await client.getBytes(key)).bytes.toString();
  return found;
}
const ledgerOf = (name: string): ReplicationLedger => openLmdbLedger(path.join(work, name));

const settles = (assertion: () => void | Promise<void>): Promise<void> => settlesWithin(assertion, 20_000);

interface Following {
  figures: () => ReplicationFigures | undefined;
  passes: PassResult[];
  stop: () => Promise<void>;
  ended: Promise<void>;
}
function following(
  from: ObjectClient,
  to: ObjectClient,
  ledger: ReplicationLedger,
  more: Partial<FollowInput> = {},
): Following {
  const stop = new AbortController();
  let figures: ReplicationFigures | undefined;
  const passes: PassResult[] = [];
  const ended = (async () => {
    await using log = openNodeLog(from.place, () => Promise.resolve(account));
    await follow({
      ...sides(from, to),
      ...{ ledger, log, everyMs: 3_600_000, signal: stop.signal, figuresEveryMs: 50 },
      rule: { ...usualPassRule, deleteShare: 1 },
      onFigures: (now) => (figures = now),
      onPass: (result) => void passes.push(result),
      ...more,
    });
  })();
  ended.catch(() => {});
  return {
    ...{ figures: () => figures, passes, ended },
    async stop() {
      stop.abort(new Error('test'));
      await ended;
    },
  };
}

test('writes, overwrites and deletes follow the change log, without another listing', { timeout: 60_000 }, async () => {
  const [a, b] = await pair();
  await a.put('before', Buffer.from('1'));
  await using ledger = ledgerOf('follow');
  const replication = following(a, b, ledger);
  await settles(async () => assert.deepEqual(await contents(b), { before: '1' }));
  await a.put('new', Buffer.from('2'));
  await a.put('before', Buffer.from('3'));
  await a.put('emoji\u{1f600}', Buffer.from('4'));
  await settles(async () => assert.deepEqual(await contents(b), { before: '3', new: '2', 'emoji\u{1f600}': '4' }));
  await a.put('new', Buffer.from('2'), { metadata: { v: '2' } });
  await a.delete('before');
  await settles(async () => {
    assert.deepEqual(await contents(b), { new: '2', 'emoji\u{1f600}': '4' });
    assert.equal((await b.head('new')).metadata['v'], '2');
  });
  await settles(() => {
    assert.deepEqual(
      [replication.figures()?.backlogObjects.value, replication.figures()?.backlogObjects.confidence],
      [0, 'measured'],
    );
  });
  const age = replication.figures()!.oldestPendingAgeMs;
  assert.equal(age.confidence, 'measured');
  assert.equal(replication.passes.length, 1);
  await replication.stop();
  // A second start goes on from the position, it lists nothing.
  await a.put('later', Buffer.from('5'));
  const again = following(a, b, ledger);
  await settles(async () => assert.equal((await contents(b))['later'], '5'));
  assert.equal(again.passes.length, 0);
  await again.stop();
});

test(
  'a freeze lists exactly the lost keys, and the age is never smaller than the true loss',
  { timeout: 60_000 },
  async () => {
    const [a, b] = await pair();
    await using ledger = ledgerOf('freeze');
    const through = openObjects(there.place(b.bucket, { endpoint: relay.endpoint }));
    const replication = following(a, through, ledger);
    for (let i = 0; i < 20; i++) await a.put(`k${i}`, Buffer.from(`one ${i}`));
    await settles(async () => assert.equal(Object.keys(await contents(b)).length, 20));
    await settles(() => assert.equal(replication.figures()?.backlogObjects.value, 0));
    // The link to the target is cut: writes go on at the source.
    relay.rule = { before: () => ({ status: 503, body: '<Error><Code>SlowDown</Code></Error>' }) };
    const cutAtMs = Date.now();
    for (let i = 10; i < 25; i++) await a.put(`k${i}`, Buffer.from(`two ${i}`));
    await a.delete('k0');
    const lastWriteMs = Date.now();
    await settles(() => assert.equal(replication.figures()?.backlogObjects.value, 16));
    await settles(() => {
      const { value, confidence } = replication.figures()!.oldestPendingAgeMs;
      assert.equal(confidence, 'measured');
      const truthMs = Date.now() - cutAtMs;
      assert.ok(value! >= lastWriteMs - cutAtMs - 1_000 && value! <= truthMs + 1_000, `${value} and ${truthMs}`);
    });
    await replication.stop();
    await ledger.freeze({ epoch: 1, why: 'failover' });
    const lost: string[] = [];
    for await (const { key, op, certainty } of lostWrites(ledger)) lost.push(`${op} ${key} ${certainty}`);
    const [source, target] = [await contents(a), await contents(b)];
    const truth = [...new Set([...Object.keys(source), ...Object.keys(target)])]
      .filter((key) => source[key] !== target[key])
      .map((key) => `${key in source ? 'put' : 'delete'} ${key} lost`);
    assert.deepEqual(lost.toSorted(), truth.toSorted());
    const refused = await pass(a, b, {}, { ledger });
    assert.ok(refused.kind === 'stopped' && refused.code === 'REPLICATION_FROZEN');
    relay.rule = {};
    await through[Symbol.asyncDispose]();
  },
);

test(
  'after a failover both sides’ writes are told apart, and the way home overwrites nothing silently',
  { timeout: 60_000 },
  async () => {
    const [old, now] = await pair();
    await using ledger = ledgerOf('conflicts');
    for (const key of ['same', 'both', 'old-only', 'new-only']) await old.put(key, Buffer.from('agreed'));
    const first = await pass(old, now, {}, { ledger });
    assert.equal(first.kind, 'complete');
    await ledger.freeze({ epoch: 2, why: 'failover' });
    for (const key of ['both', 'old-only', 'old-new-key']) await old.put(key, Buffer.from('of the old writer'));
    for (const key of ['both', 'new-only', 'made-since']) await now.put(key, Buffer.from('of the new writer'));
    const told: Conflict[] = [];
    const between = { ledger, old: sides(old, now).source, new: sides(old, now).target };
    const counts = await findConflicts(between, (one) => void told.push(one));
    assert.deepEqual(told.map(({ key, kind }) => `${key} ${kind}`).toSorted(), [
      'both both',
      'made-since new-only',
      'new-only new-only',
      'old-new-key old-only',
      'old-only old-only',
    ]);
    assert.deepEqual(counts, { both: 1, 'old-only': 2, 'new-only': 2, unknown: 0 });
    await using home = ledgerOf('home');
    await turnLedger(ledger, home);
    const rule = { copy: { ...usualPassRule.copy, epoch: 2 } };
    const back = await pass(now, old, rule, { ledger: home });
    assert.equal(back.kind, 'complete');
    assert.deepEqual(await contents(old), {
      ...{ same: 'agreed', 'new-only': 'of the new writer', 'made-since': 'of the new writer' },
      ...{ both: 'of the old writer', 'old-only': 'of the old writer', 'old-new-key': 'of the old writer' },
    });
    assert.equal(back.counts.kept, 2);
  },
);

test('keys that expire in the middle hold the work up, and new ones let it go on', { timeout: 60_000 }, async () => {
  const [a, b] = await pair();
  for (let i = 0; i < 60; i++) await a.put(`k${i}`, Buffer.from(`${i}`));
  const through = openObjects(there.place(b.bucket, { endpoint: relay.endpoint }));
  let puts = 0;
  let expired = false;
  relay.rule = {
    before: ({ method }) => {
      if (method === 'PUT' && (puts += 1) === 20) expired = true;
      return expired
        ? { status: 403, body: '<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>' }
        : undefined;
    },
  };
  const run = runPass({ ...sides(a, through), rule: { ...usualPassRule, credentialsWaitMs: 4_000 } });
  await settles(() => assert.match(run.progress().paused ?? '', /new keys for s3:\/\/target/));
  assert.ok(run.progress().counts.copied < 60);
  expired = false;
  const result = await run.finished;
  assert.deepEqual([result.kind, result.counts.copied, result.counts.failed], ['complete', 60, 0]);
  expired = true;
  await a.put('more', Buffer.from('x'));
  const inVain = await pass(a, through, { credentialsWaitMs: 300 });
  assert.ok(inVain.kind === 'stopped' && inVain.code === 'CREDENTIALS_REFUSED', JSON.stringify(inVain));
  relay.rule = {};
  await through[Symbol.asyncDispose]();
});

test(
  'a full target stops the run, nothing is marked done that is not, and the next run goes on',
  { timeout: 60_000 },
  async () => {
    const [a, b] = await pair();
    for (let i = 0; i < 40; i++) await a.put(`k${i}`, Buffer.from(`${i}`));
    await using ledger = ledgerOf('full');
    const through = openObjects(there.place(b.bucket, { endpoint: relay.endpoint }));
    let puts = 0;
    relay.rule = {
      before: ({ method }) =>
        method === 'PUT' && (puts += 1) > 10
          ? { status: 507, body: '<Error><Code>XMinioStorageFull</Code><Message>full</Message></Error>' }
          : undefined,
    };
    const stopped = await pass(a, through, {}, { ledger });
    assert.ok(stopped.kind === 'stopped' && stopped.code === 'TARGET_FULL', JSON.stringify(stopped));
    const copied = Object.keys(await contents(b)).length;
    const totals = await ledger.totals();
    assert.ok(
      totals.verifiedRows <= copied && totals.pending.objects >= 40 - copied,
      `${totals.verifiedRows} of ${copied}`,
    );
    relay.rule = {};
    const result = await pass(a, through, {}, { ledger });
    assert.equal(result.kind, 'complete');
    assert.deepEqual(await contents(b), await contents(a));
    assert.equal((await ledger.totals()).pending.objects, 0);
    await through[Symbol.asyncDispose]();
  },
);

test('a limit of bandwidth holds, and a pause lets nothing through', { timeout: 60_000 }, async () => {
  const [a, b] = await pair();
  for (let i = 0; i < 20; i++) await a.put(`k${i}`, Buffer.alloc(100_000, i));
  const begunAtMs = performance.now();
  const run = runPass({ ...sides(a, b), rule: { ...usualPassRule, bandwidth: parseTimetable('1M') } });
  const result = await run.finished;
  assert.equal(result.counts.copied, 20);
  assert.ok(performance.now() - begunAtMs > 1_500, 'two megabytes went through in less than two seconds');
  for (let i = 0; i < 20; i++) await a.put(`l${i}`, Buffer.from('x'));
  const second = runPass({ ...sides(a, b), rule: usualPassRule });
  second.pause();
  await settles(() => assert.equal(second.progress().counts.sourceObjects, 40));
  assert.equal(second.progress().counts.copied, 0);
  assert.equal(second.progress().paused, 'paused');
  second.resume();
  assert.equal((await second.finished).counts.copied, 20);
});
