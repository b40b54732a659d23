/** What a long copy is asked to do: tried out, guarded, by rules, with removal, with versions, both ways. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { settles } from './support/bucket-pair.ts';
import { all, keyOf, keysOf, openCopies, type CopiesWorld, writtenTwice } from './support/copies.ts';

let copies: CopiesWorld;
before(async () => {
  copies = await openCopies();
});
after(() => copies?.[Symbol.asyncDispose]());

test('a dry run names what would be done and does nothing; the guard stops deletes, and lets them pass when it is raised', async () => {
  const { from, to } = await copies.pairWith('guarded', 20);
  assert.equal((await copies.copied(copies.orderOf('guarded'))).verdict, 'done');
  await Promise.all(Array.from({ length: 8 }, (_, i) => from.delete(keyOf(i))));
  await from.put('new', Buffer.from('new'));
  const half = { deleteShare: 0.5 };
  const dry = await copies.copied(copies.orderOf('guarded', half, { mode: 'plan' }));
  assert.deepEqual(dry.named.map(({ what, key }) => `${what} ${key}`).toSorted(), [
    'would-copy new',
    ...Array.from({ length: 8 }, (_, i) => `would-delete ${keyOf(i)}`),
  ]);
  assert.equal((await keysOf(to)).length, 20);
  const guarded = await copies.copied(copies.orderOf('guarded', { deleteShare: 0.1 }));
  assert.equal(guarded.verdict, 'guarded');
  assert.match(guarded.failure ?? '', /^DELETE_GUARD: 8 of 20 objects/);
  assert.equal((await keysOf(to)).length, 21);
  const passed = await copies.copied(copies.orderOf('guarded', half));
  assert.deepEqual([passed.verdict, passed.counts.deleted], ['done', 8]);
  assert.deepEqual(await keysOf(to), await keysOf(from));
  const compared = await copies.copied(copies.orderOf('guarded', {}, { mode: 'compare' }));
  assert.deepEqual([compared.verdict, compared.counts.different], ['done', 0]);
});

test('rules tier, migrate and keep or remove what they are about, by prefix, size and tag, and nothing else', async () => {
  const { from, to } = await copies.pairWith('ruled', 3);
  await from.put('logs/old', Buffer.from('old'));
  await from.put('logs/kept', Buffer.from('kept'));
  await from.putTags('logs/old', { class: 'cold' });
  await from.put('large', Buffer.alloc(10_000, 1));
  const order = copies.orderOf(
    'ruled',
    {},
    {
      legs: [
        { kind: 'tier', name: 'ia', filter: { ...all, minSizeBytes: 5_000 }, storageClass: 'STANDARD_IA' },
        {
          kind: 'copy',
          name: 'cold',
          filter: { ...all, prefix: 'logs/', tags: { class: 'cold' } },
          removeSource: true,
        },
        { kind: 'copy', name: 'small', filter: { ...all, include: ['/k*'], exclude: ['k002'] }, removeSource: false },
      ],
    },
  );
  const dry = await copies.copied({ ...order, mode: 'plan' });
  assert.deepEqual(
    dry.named.map(({ what, key }) => `${what} ${key}`).toSorted(),
    // Tags are looked at when it is done.
    ['would-copy k000', 'would-copy k001', 'would-copy logs/kept', 'would-copy logs/old', 'would-tier large'],
  );
  assert.equal((await from.head('large')).storageClass, 'STANDARD');
  const result = await copies.copied(order);
  assert.deepEqual(
    [result.verdict, result.counts.copied, result.counts.deleted],
    ['done', 4, 1],
    JSON.stringify(result),
  );
  assert.deepEqual(await keysOf(from), ['k000', 'k001', 'k002', 'large', 'logs/kept']);
  assert.deepEqual(await keysOf(to), ['k000', 'k001', 'logs/old']);
  assert.equal((await from.head('large')).storageClass, 'STANDARD_IA');
  const again = await copies.copied(order);
  assert.deepEqual([again.verdict, again.counts.copied, again.counts.deleted], ['done', 0, 0]);
});

test('what is removed after its copy is removed piece by piece, on from the cursor when its worker is killed', async () => {
  const { from, to } = await copies.pairWith('removed', 90);
  const [leg] = copies.orderOf('removed').legs;
  assert.ok(leg?.kind === 'copy');
  const removal = { requests: '40', transfers: 4 };
  const shard = { ...copies.orderOf('removed').shard, bytes: 20_000, pageKeys: 4 };
  const order = copies.orderOf('removed', removal, { legs: [{ ...leg, removeSource: true }], shard, measure: false });
  const started = await copies.start(order);
  // A piece of the removal has ended, and another is under way.
  await settles(async () => {
    const { phase, counts } = await copies.statusOf(started.workflowId);
    assert.ok(phase === 'removing' && counts.deleted >= 10, `${phase} ${counts.deleted}`);
  }, 120_000);
  const before = await copies.statusOf(started.workflowId);
  await copies.killWorker();
  const there = await keysOf(from);
  assert.ok(there.length > 0);
  copies.startWorker();
  const result = await started.result();
  assert.equal(result.verdict, 'done', JSON.stringify(result));
  assert.ok(result.counts.deleted >= before.counts.deleted + there.length && result.counts.deleted <= 90);
  assert.equal(result.counts.copied, 90);
  assert.deepEqual(await keysOf(from), []);
  assert.equal((await keysOf(to)).length, 90);
  assert.deepEqual(await writtenTwice(to), []);
});

test('versions are copied piece by piece, too: a page of theirs is no larger than one of objects', async () => {
  const [from, to] = [await copies.newBucket('aged-from'), await copies.newBucket('aged-to')];
  await Promise.all([from, to].map((client) => client.setVersioning('enabled')));
  for (let i = 0; i < 60; i++) await from.put(keyOf(i % 30), Buffer.alloc(2_000, i));
  const result = await copies.copied(
    copies.orderOf('aged', { versions: true }, { shard: { ...copies.orderOf('aged').shard, perRun: 50 } }),
  );
  assert.deepEqual([result.verdict, result.counts.copied], ['done', 60], JSON.stringify(result));
  // Uncut, all of them are one page of a listing: one piece to measure, one to copy.
  assert.ok(result.pieces > 3, `${result.pieces} pieces`);
  const { versions } = await to.listVersions();
  assert.equal(versions.length, 60);
});

test('of a pair what each side wrote or deleted goes to the other, and what both wrote is named and stays', async () => {
  const { from, to } = await copies.pairWith('twoway', 12);
  await to.put('theirs', Buffer.from('theirs'));
  await Promise.all([from.put('both', Buffer.from('one')), to.put('both', Buffer.from('another'))]);
  const filter = all;
  const kept = copies.orderOf(
    'twoway',
    { deleteShare: 0.5 },
    {
      legs: [{ kind: 'pair', name: 'all', filter, conflicts: 'keep' }],
      shard: { bytes: 5_000, ms: 300_000, perRun: 3, pageKeys: 3 },
    },
  );
  const first = await copies.copied(kept);
  assert.equal(first.verdict, 'partial', JSON.stringify(first));
  assert.ok(first.pieces > 2);
  assert.deepEqual(
    first.named.map(({ what, key }) => `${what} ${key}`),
    ['conflict both'],
  );
  assert.deepEqual(await keysOf(to), await keysOf(from));
  assert.equal((await to.getBytes('both')).bytes.toString(), 'another');
  await Promise.all([from.delete('k000'), to.delete('theirs')]);
  const dry = await copies.copied({ ...kept, mode: 'plan' });
  assert.deepEqual(dry.named.map(({ what, key }) => `${what} ${key}`).toSorted(), [
    ...['conflict both', 'would-delete k000', 'would-delete theirs'],
  ]);
  const second = await copies.copied({ ...kept, legs: [{ kind: 'pair', name: 'all', filter, conflicts: 'from' }] });
  assert.deepEqual([second.verdict, second.counts.deleted], ['done', 2], JSON.stringify(second));
  assert.deepEqual(await keysOf(to), await keysOf(from));
  assert.equal((await to.getBytes('both')).bytes.toString(), 'one');
});
