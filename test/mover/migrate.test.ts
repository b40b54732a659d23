import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openLmdbLedger } from '../../activities/mover/ledger/lmdb-ledger.ts';
import { runLifecycle, planLifecycle } from '../../activities/mover/lifecycle/run-lifecycle.ts';
import { removeVerified, type RemoveInput } from '../../activities/mover/lifecycle/remove-verified.ts';
import { type LifecycleRule } from '../../activities/mover/lifecycle/rules.ts';
import { assess } from '../../activities/mover/migration/assess.ts';
import { catchUp, cutOver, migrationPhase, rollBack } from '../../activities/mover/migration/migrate.ts';
import { type PassInput, usualPassRule } from '../../activities/mover/run/pass.ts';
import { runPass } from '../../activities/mover/run/run-pass.ts';
import { openObjects } from '../../activities/objects/open.ts';
import { type ObjectClient } from '../../activities/objects/types.ts';
import { type MoverCluster, startMoverCluster } from './support/cluster.ts';

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
const sides = (from: ObjectClient, to: ObjectClient): Pick<PassInput, 'source' | 'target'> => ({
  source: { client: from, prefix: '' },
  target: { client: to, prefix: '' },
});
async function keysOf(client: ObjectClient): Promise<string[]> {
  return (await client.list()).objects.map(({ key }) => key);
}

test('a rule moves what it means, proves it, and only then deletes at the source', async () => {
  const [a, b] = [await cluster.bucket('warm'), await cluster.bucket('cold')];
  for (const key of ['logs/1', 'logs/2', 'logs/small', 'photos/1'])
    await a.put(key, Buffer.alloc(key.endsWith('small') ? 1 : 100, key));
  // Somebody else's object stands in the way of one: it is not overwritten, so its source must stay.
  await b.put('logs/2', Buffer.from('of others'));
  const rules: LifecycleRule[] = [
    {
      name: 'old logs',
      filter: { include: ['/logs/**'], minSizeBytes: 10 },
      action: { kind: 'migrate', target: sides(a, b).target, keepSource: false },
    },
  ];
  assert.deepEqual(await planLifecycle({ source: sides(a, b).source, rules }), [
    { rule: 'old logs', objects: 2, sizeBytes: 200 },
  ]);
  const done = await runLifecycle({
    ...{ source: sides(a, b).source, rules, pass: usualPassRule },
    ledgerFor: () => Promise.resolve(openLmdbLedger(path.join(work, 'lifecycle'))),
  });
  assert.equal(done[0]?.done, 1);
  assert.deepEqual(await keysOf(a), ['logs/2', 'logs/small', 'photos/1']);
  assert.deepEqual(await keysOf(b), ['logs/1', 'logs/2']);
});

test('a removal goes on piece by piece, removes each proved object once, and names what has changed since', async () => {
  const [a, b] = [await cluster.bucket('leaving'), await cluster.bucket('left-to')];
  const keys = Array.from({ length: 40 }, (_, i) => `k${String(i).padStart(2, '0')}`);
  for (const key of keys) await a.put(key, Buffer.alloc(100, key));
  await using ledger = openLmdbLedger(path.join(work, 'removal'));
  const rule = { ...usualPassRule, transfers: 4, filter: { exclude: ['k39'] } };
  assert.equal((await runPass({ ...sides(a, b), rule, ledger }).finished).counts.copied, 39);
  await a.put('k05', Buffer.from('written since'));
  await b.put('k17', Buffer.from('of others'));
  await b.delete('k23');
  await a.put('new', Buffer.from('was never copied'));
  const removed: string[] = [];
  const kept: string[] = [];
  const piece = (more: Partial<RemoveInput>): ReturnType<typeof removeVerified> =>
    removeVerified({
      ...{ ...sides(a, b), rule, ledger, pageKeys: 4, until: { bytes: 500 } },
      onObject: ({ key, kind }) => void (kind === 'removed' ? removed : kept).push(key),
      ...more,
    });
  const counts: number[] = [];
  // The first attempt is to end as soon as it has removed something: what it has begun, the next goes on from.
  const ending = new AbortController();
  let end = await piece({
    signal: ending.signal,
    onObject: ({ key }) => {
      removed.push(key);
      ending.abort();
    },
  });
  assert.ok(end.kind === 'more' && end.removed <= 4, JSON.stringify(end));
  counts.push(end.removed);
  for (; end.kind === 'more'; counts.push(end.removed)) end = await piece({ ranges: end.ranges });
  assert.equal(end.kind, 'complete');
  assert.deepEqual(kept.toSorted(), ['k05', 'k17', 'k23']);
  assert.deepEqual(
    removed.toSorted(),
    keys.filter((key) => !['k05', 'k17', 'k23', 'k39'].includes(key)),
  );
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    removed.length,
  );
  // What is under way when a piece is large enough is at most a page of each of the four listers.
  assert.ok(Math.max(...counts) <= 16 + 5 && counts.length >= 3, JSON.stringify(counts));
  assert.deepEqual(await keysOf(a), ['k05', 'k17', 'k23', 'k39', 'new']);
});

test('a rule without a condition is refused', async () => {
  const a = await cluster.bucket('whole');
  const rules: LifecycleRule[] = [
    { name: 'all', filter: { include: [] }, action: { kind: 'tier', storageClass: 'IA' } },
  ];
  await assert.rejects(planLifecycle({ source: { client: a, prefix: '' }, rules }), { code: 'CONFIG_INVALID' });
});

test('a migration is assessed, caught up, cut over when both sides agree, and rolled back with what was written since', async () => {
  const [a, b] = [await cluster.bucket('from'), await cluster.bucket('onto')];
  for (let i = 0; i < 30; i++) await a.put(`k${i}`, Buffer.from(`${i}`));
  const found = await assess({
    ...sides(a, b),
    sampleShare: 0.5,
    rate: { objectsPerSecond: 10, bytesPerSecond: 1_000 },
  });
  assert.deepEqual([found.objects, found.impossible, found.durationMs.value], [30, [], 3_000]);
  assert.ok(found.sampled > 20 && found.sampled < 30, `${found.sampled} of 30 sampled`);
  assert.equal((await assess({ ...sides(a, b), sampleShare: 0.000_001 })).sampled, 20, 'the fewest that say something');
  const oss = openObjects(cluster.place('onto', { dialect: 'oss', region: 'cn-hangzhou' }));
  await a.put('/lead', Buffer.from('x'));
  const toOss = await assess({ ...sides(a, oss), sampleShare: 0 });
  assert.deepEqual(toOss.impossible, [{ why: 'a name that OSS does not take', objects: 1, examples: ['/lead'] }]);
  assert.equal(toOss.durationMs.confidence, 'unknown');
  await oss[Symbol.asyncDispose]();
  await using ledger = openLmdbLedger(path.join(work, 'migration'));
  await using home = openLmdbLedger(path.join(work, 'migration-home'));
  const input = { ...sides(a, b), rule: usualPassRule, ledger };
  assert.deepEqual(await catchUp(input, { objects: 0, passes: 3 }), { kind: 'caught-up', lastCopied: 0 });
  assert.equal(await migrationPhase(ledger), 'caught-up');
  const running = { writesStopped: () => Promise.resolve(false), compareBytes: false };
  await assert.rejects(cutOver(input, running), { code: 'FENCE_UNCONFIRMED' });
  const stopped = { writesStopped: () => Promise.resolve(true), compareBytes: true };
  await b.put('stray', Buffer.from('x'));
  assert.deepEqual(await cutOver(input, stopped), {
    kind: 'not-equal',
    differences: 1,
    examples: ['only-target stray'],
  });
  await b.delete('stray');
  await a.put('last', Buffer.from('x'));
  assert.deepEqual(await cutOver(input, stopped), { kind: 'ready', objects: 32 });
  await b.put('since', Buffer.from('written at the new place'));
  await b.put('k0', Buffer.from('changed at the new place'));
  const back = await rollBack(input, home);
  assert.deepEqual([back.kind, back.counts.copied, back.counts.kept], ['complete', 2, 0]);
  assert.equal((await a.getBytes('k0')).bytes.toString(), 'changed at the new place');
  assert.ok((await keysOf(a)).includes('since'));
});

test('tags go along, are refreshed, counted by the assessment, and chosen by', async () => {
  const [a, b] = [await cluster.bucket('tagged'), await cluster.bucket('copied')];
  await a.put('k', Buffer.from('x'), { tags: { keep: 'yes', odd: 'a b+c' } });
  await a.put('plain', Buffer.from('y'), { metadata: { colour: 'red' } });
  const found = await assess({ ...sides(a, b), sampleShare: 1 });
  assert.deepEqual([found.sampledWith, found.notCarried], [{ tags: 1, metadata: 1, retention: 0 }, []]);
  const pass = { ...sides(a, b), rule: usualPassRule };
  const result = await runPass(pass).finished;
  assert.deepEqual(
    [result.kind, result.counts.copied, result.counts.notCarried],
    ['complete', 2, 0],
    JSON.stringify(result),
  );
  assert.deepEqual(await b.getTags('k'), { keep: 'yes', odd: 'a b+c' });
  const closely = { ...usualPassRule, compareProperties: true };
  const differing = async (): Promise<number> =>
    (await runPass({ ...pass, rule: { ...closely, mode: 'compare' } }).finished).counts.different;
  assert.equal(await differing(), 0);
  await a.putTags('k', { keep: 'no' });
  assert.equal(await differing(), 1);
  const again = await runPass({ ...pass, rule: closely }).finished;
  assert.deepEqual([again.counts.refreshed, await b.getTags('k')], [1, { keep: 'no' }]);
  const only = await cluster.bucket('only-tagged');
  await runPass({ ...sides(a, only), rule: { ...usualPassRule, filter: { tags: { keep: 'no' } } } }).finished;
  assert.deepEqual(await keysOf(only), ['k']);
});

test('an assessment counts the versions and delete markers that stay behind', async () => {
  const [a, b] = [await cluster.bucket('versioned'), await cluster.bucket('unversioned')];
  await a.setVersioning('enabled');
  for (const text of ['1', '22', '333']) await a.put('k', Buffer.from(text));
  await a.put('gone', Buffer.from('4444'));
  await a.delete('gone');
  const found = await assess({ ...sides(a, b), sampleShare: 0 });
  assert.deepEqual([found.objects, found.sizeBytes], [1, 3]);
  assert.deepEqual(found.olderVersions, { versions: 3, sizeBytes: 7, deleteMarkers: 1 });
  assert.ok(found.buckets.warnings.some((warning) => warning.startsWith('older versions stay behind')));
});
