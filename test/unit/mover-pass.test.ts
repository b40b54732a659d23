import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareSides } from '../../activities/mover/compare/compare.ts';
import { type KeyRange } from '../../activities/mover/compare/ranges.ts';
import { type PassInput, type PassResult, type PassRule, usualPassRule } from '../../activities/mover/run/pass.ts';
import { runPass } from '../../activities/mover/run/run-pass.ts';
import { memoryBucket, type MemoryBucket } from '../mover/support/memory-client.ts';

const pairOf = (...buckets: [MemoryBucket, MemoryBucket]): Pick<PassInput, 'source' | 'target'> => ({
  source: { client: buckets[0].client, prefix: '' },
  target: { client: buckets[1].client, prefix: '' },
});
const run = (
  of: Pick<PassInput, 'source' | 'target'>,
  rule: Partial<PassRule> = {},
  more: Partial<PassInput> = {},
): Promise<PassResult> => runPass({ ...of, rule: { ...usualPassRule, ...rule }, ...more }).finished;

const oddKey = fc.oneof(
  fc.string({
    unit: fc.constantFrom('a', 'b', '/', '.', '\u{1f600}', '\uff5e', '\u{10ffff}'),
    minLength: 1,
    maxLength: 12,
  }),
  fc.nat(400).map((n) => `object-${String(n).padStart(6, '0')}`),
);

test('however ranges are cut, every key of both sides is visited exactly once', async () => {
  const shape = fc.record({ parallel: fc.integer({ min: 1, max: 6 }), pageKeys: fc.integer({ min: 1, max: 7 }) });
  const keys = fc.uniqueArray(oddKey, { maxLength: 120 });
  await fc.assert(
    fc.asyncProperty(keys, keys, shape, async (left, right, { parallel, pageKeys }) => {
      const [a, b] = [memoryBucket('a'), memoryBucket('b')];
      for (const key of left) a.set(key, '1');
      for (const key of right) b.set(key, '2');
      const seen: string[] = [];
      const comparing = compareSides({ ...pairOf(a, b), parallel, pageKeys }, (batch, close) => {
        for (const { key, source, target } of batch) {
          assert.equal(source !== undefined, left.includes(key));
          assert.equal(target !== undefined, right.includes(key));
          seen.push(key);
        }
        close();
      });
      await comparing.finished;
      assert.deepEqual(seen.toSorted(), [...new Set([...left, ...right])].toSorted());
      assert.deepEqual(comparing.remaining(), []);
    }),
    { numRuns: 60 },
  );
});

test('a comparison that stops anywhere goes on from its remaining ranges, and nothing done is visited again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(oddKey, { minLength: 5, maxLength: 120 }), fc.nat(20), async (keys, stopAt) => {
      const [a, b] = [memoryBucket('a'), memoryBucket('b')];
      for (const key of keys) a.set(key, '1');
      const finished = new Set<string>();
      const visit = (most: number) => {
        let batches = 0;
        return (batch: readonly { key: string }[], close: () => void): void => {
          if (batches++ >= most) throw new Error('enough');
          for (const { key } of batch) {
            assert.ok(!finished.has(key), `${key} comes twice`);
            finished.add(key);
          }
          close();
        };
      };
      const first = compareSides({ ...pairOf(a, b), parallel: 3, pageKeys: 3 }, visit(stopAt));
      await first.finished.catch(() => {});
      const ranges: KeyRange[] = first.remaining();
      await compareSides({ ...pairOf(a, b), parallel: 3, pageKeys: 3, ranges }, visit(Infinity)).finished;
      assert.equal(finished.size, keys.length);
    }),
    { numRuns: 60 },
  );
});

test('a flat bucket is listed by several ranges at once', async () => {
  const [a, b] = [memoryBucket('a'), memoryBucket('b')];
  for (let i = 0; i < 20_000; i++) a.set(`object-${String(i).padStart(9, '0')}`, '');
  let under = 0;
  let most = 0;
  await compareSides({ ...pairOf(a, b), parallel: 8, pageKeys: 100 }, async (_, close) => {
    most = Math.max(most, (under += 1));
    await new Promise((resolve) => setImmediate(resolve));
    under -= 1;
    close();
  }).finished;
  assert.ok(most >= 6, `${most} ranges at once`);
  const probes = a.listings.filter((maxKeys) => maxKeys === 1).length;
  assert.ok(probes < 400, `${probes} probes for 200 pages`);
});

test('a pass makes the target what the source is, and a second one finds nothing to do', async () => {
  const [a, b] = [memoryBucket('a'), memoryBucket('b')];
  for (let i = 0; i < 3_000; i++) a.set(`k/${i}`, `text ${i}`);
  const first = await run(pairOf(a, b));
  assert.equal(first.kind, 'complete');
  assert.equal(first.counts.copied, 3_000);
  assert.deepEqual(b.keys(), a.keys());
  for (const key of a.keys()) assert.equal(b.text(key), a.text(key));
  const second = await run(pairOf(a, b));
  assert.deepEqual([second.counts.copied, second.counts.same], [0, 3_000]);
});

test('what the users of the target wrote is kept unless the policy says otherwise', async () => {
  const [a, b] = [memoryBucket('a'), memoryBucket('b')];
  a.set('k', 'of the source');
  b.set('k', 'of its own users');
  const kept = await run(pairOf(a, b));
  assert.deepEqual([kept.counts.kept, b.text('k')], [1, 'of its own users']);
  const rule = { copy: { ...usualPassRule.copy, overwrite: 'always' as const } };
  await run(pairOf(a, b), rule);
  assert.equal(b.text('k'), 'of the source');
});

test('a copy of a lower epoch never overwrites, whatever the policy', async () => {
  const [a, b] = [memoryBucket('a'), memoryBucket('b')];
  a.set('k', 'one');
  await run(pairOf(a, b), { copy: { ...usualPassRule.copy, epoch: 7 } });
  a.set('k', 'two');
  const stale = await run(pairOf(a, b), { copy: { ...usualPassRule.copy, epoch: 6, overwrite: 'always' } });
  assert.deepEqual([stale.counts.kept, b.text('k')], [1, 'one']);
});

test('deletes stop at the guard, are planned by a dry run, and leave what no mover wrote', async () => {
  const [a, b] = [memoryBucket('a'), memoryBucket('b')];
  for (let i = 0; i < 20; i++) a.set(`k${i}`, 'x');
  await run(pairOf(a, b));
  b.set('own', 'of its users');
  const fewer = memoryBucket('fewer');
  for (let i = 0; i < 17; i++) fewer.set(`k${i}`, 'x');
  const stopped = await run(pairOf(fewer, b), { deleteShare: 0.1 });
  assert.ok(stopped.kind === 'stopped' && stopped.code === 'DELETE_GUARD');
  assert.match(stopped.message, /4 of 21 objects in b would be deleted/);
  assert.equal(b.keys().length, 21);
  const planned: string[] = [];
  await run(
    pairOf(fewer, b),
    { deleteShare: 0.5, mode: 'plan' },
    { onObject: (event) => planned.push(`${event.kind} ${event.key}`) },
  );
  assert.deepEqual(planned.toSorted(), [
    'would-delete k17',
    'would-delete k18',
    'would-delete k19',
    'would-delete own',
  ]);
  const done = await run(pairOf(fewer, b), { deleteShare: 0.5 });
  assert.deepEqual([done.counts.deleted, done.counts.kept], [3, 1]);
  assert.ok(b.keys().includes('own'));
});

test('a pass in pieces does everything once and ends', async () => {
  const [a, b] = [memoryBucket('a'), memoryBucket('b')];
  for (let i = 0; i < 5_000; i++) a.set(`k${i}`, 'x'.repeat(10));
  let result = await run(pairOf(a, b), {}, { until: { bytes: 9_000 } });
  let pieces = 1;
  while (result.kind === 'more') {
    pieces += 1;
    result = await run(pairOf(a, b), {}, { until: { bytes: 9_000 }, cursor: result.cursor });
  }
  assert.equal(result.kind, 'complete');
  assert.ok(pieces >= 3, `${pieces} pieces`);
  assert.equal(result.counts.copied, 5_000);
  assert.deepEqual(b.keys(), a.keys());
});

test('a listing that comes out of order ends the pass and deletes nothing', async () => {
  const [a, b] = [memoryBucket('a'), memoryBucket('b')];
  for (const key of ['a', 'b', 'c']) b.set(key, 'x');
  const list = a.client.list.bind(a.client);
  a.client.list = async (request) => {
    const page = await list(request);
    return { ...page, objects: page.objects.toReversed() };
  };
  for (const key of ['a', 'b']) a.set(key, 'x');
  const result = await run(pairOf(a, b), { deleteShare: 1 });
  assert.ok(result.kind === 'stopped' && result.code === 'OBJECT_STORE_REFUSED');
  assert.equal(b.keys().length, 3);
});
