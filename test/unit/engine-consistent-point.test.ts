import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { consistentPoint, type PartPoints } from '../../workflows/engine/consistent-point.ts';
import type { RecoveryPoint } from '../../workflows/engine/protection.ts';

function point(kind: string, takenAtMs: number, over: Partial<RecoveryPoint> = {}): RecoveryPoint {
  return {
    ...{ id: `vault/${kind}-${takenAtMs}`, service: 'shop', resource: kind, kind, site: 'hangzhou', vault: 'vault' },
    ...{ snapshotId: `${kind}-${takenAtMs}`, status: 'complete', startedAtMs: takenAtMs, takenAtMs },
    ...{ endedAtMs: takenAtMs, sizeBytes: 1, addedBytes: 1, files: 1, facts: {}, problems: [], problemCount: 0 },
    ...over,
  };
}

function part(resource: string, points: RecoveryPoint[], replay: Record<number, number> = {}): PartPoints {
  const entries = points.flatMap(({ id, takenAtMs }): [string, number][] => {
    const toMs = replay[takenAtMs];
    return toMs === undefined ? [] : [[id, toMs]];
  });
  return { resource, points, replayToMs: new Map(entries) };
}

test('a database with WAL is brought to the moment of the newest bucket that it covers', () => {
  const orders = part('orders', [point('postgres', 1_000), point('postgres', 60_000)], {
    1_000: 90_000,
    60_000: 90_000,
  });
  const receipts = part('receipts', [point('bucket', 30_000), point('bucket', 80_000, { endedAtMs: 82_000 })]);
  const found = consistentPoint([orders, receipts], 5);
  assert.equal(found?.atMs, 80_000);
  assert.deepEqual(
    found?.parts.map(({ target, point: { takenAtMs } }) => [target, takenAtMs]),
    [
      ['time', 60_000],
      ['point', 80_000],
    ],
  );
  assert.equal(found?.skewSeconds, 2);
});

test('a bucket saved after the end of WAL is not chosen while an older one fits', () => {
  const orders = part('orders', [point('postgres', 1_000)], { 1_000: 50_000 });
  const receipts = part('receipts', [point('bucket', 30_000), point('bucket', 80_000)]);
  assert.equal(consistentPoint([orders, receipts], 5)?.atMs, 30_000);
});

test('without WAL the pair that lies nearest together is named, with its skew', () => {
  const orders = part('orders', [point('postgres', 10_000), point('postgres', 100_000)]);
  const receipts = part('receipts', [point('bucket', 40_000), point('bucket', 108_000)]);
  const found = consistentPoint([orders, receipts], 5);
  assert.equal(found?.skewSeconds, 8);
});

test('partial points count for nothing, and a part without a whole one leaves no common moment', () => {
  const orders = part('orders', [point('postgres', 10_000)]);
  const partial = part('receipts', [point('bucket', 10_000, { status: 'partial' })]);
  assert.equal(consistentPoint([orders, partial], 5), null);
  assert.equal(consistentPoint([], 5), null);
});

test('no other choice of saved states has a smaller skew, and every replay stays inside its WAL', () => {
  const times = fc.uniqueArray(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(times, times, (databases, buckets) => {
      const points = databases.map((at) => point('postgres', at));
      const found = consistentPoint(
        [
          part('orders', points),
          part(
            'receipts',
            buckets.map((at) => point('bucket', at)),
          ),
        ],
        0,
      );
      const best = Math.min(...databases.flatMap((a) => buckets.map((b) => Math.abs(a - b))));
      assert.equal(found?.skewSeconds, best / 1_000);
    }),
  );
  fc.assert(
    fc.property(times, times, fc.integer({ min: 0, max: 1_200 }), (databases, buckets, end) => {
      const replay = Object.fromEntries(databases.filter((at) => at < end).map((at) => [at, end]));
      const orders = part(
        'orders',
        databases.map((at) => point('postgres', at)),
        replay,
      );
      const found = consistentPoint(
        [
          orders,
          part(
            'receipts',
            buckets.map((at) => point('bucket', at)),
          ),
        ],
        0,
      );
      for (const { target, point: chosen } of found?.parts ?? []) {
        if (target === 'time') assert.ok(chosen.takenAtMs <= found!.atMs && found!.atMs <= end);
      }
    }),
  );
});
