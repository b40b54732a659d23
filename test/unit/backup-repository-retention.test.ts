import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MusterError } from '../../workflows/engine/errors.ts';
import { parseSpan, spanBefore } from '../../activities/backup/repository/duration.ts';
import { formatTime } from '../../activities/backup/repository/go-time.ts';
import { decideRetention, oldestReason, type RetentionPolicy } from '../../activities/backup/repository/retention.ts';
import type { Snapshot } from '../../activities/backup/repository/snapshot.ts';

const nowMs = Date.parse('2026-03-31T12:00:00Z');
const snapshotAt = (time: string, extra: Partial<Snapshot> = {}): Snapshot => ({
  ...{ id: time, time, tree: 'a'.repeat(64), paths: ['/srv'], hostname: 'one' },
  ...extra,
});

interface Case {
  name: string;
  times: string[];
  policy: RetentionPolicy;
  keep: string[];
}

const cases: Case[] = [
  {
    name: 'the newest of each day is kept',
    times: ['2026-03-28T23:00:00Z', '2026-03-29T01:00:00Z', '2026-03-29T09:00:00Z', '2026-03-30T09:00:00Z'],
    policy: { daily: 2 },
    keep: ['2026-03-30T09:00:00Z', '2026-03-29T09:00:00Z'],
  },
  {
    name: 'a day is that of the zone in which the snapshot was written',
    times: ['2026-03-30T00:30:00+08:00', '2026-03-29T15:00:00Z', '2026-03-29T23:30:00+08:00'],
    policy: { daily: 1 },
    keep: ['2026-03-30T00:30:00+08:00'],
  },
  {
    name: 'the week of a year is the one with its Thursday',
    times: ['2024-12-29T12:00:00Z', '2024-12-30T12:00:00Z', '2025-01-05T12:00:00Z'],
    policy: { weekly: 2 },
    keep: ['2025-01-05T12:00:00Z', '2024-12-29T12:00:00Z'],
  },
  {
    name: 'the oldest is kept beyond its bucket while some are left to keep',
    times: ['2026-01-05T00:00:00Z', '2026-01-20T00:00:00Z', '2026-02-20T00:00:00Z'],
    policy: { monthly: 3 },
    keep: ['2026-02-20T00:00:00Z', '2026-01-20T00:00:00Z', '2026-01-05T00:00:00Z'],
  },
  {
    name: 'spans are counted from the newest, not from now',
    times: ['2020-01-01T00:00:00Z', '2020-01-06T00:00:00Z', '2020-01-10T00:00:00Z'],
    policy: { within: parseSpan('5d') },
    keep: ['2020-01-10T00:00:00Z', '2020-01-06T00:00:00Z'],
  },
  {
    name: 'a snapshot from the future is kept and crowds out none',
    times: ['2026-03-30T00:00:00Z', '2026-03-31T00:00:00Z', '2030-01-01T00:00:00Z', '2031-01-01T00:00:00Z'],
    policy: { last: 1 },
    keep: ['2031-01-01T00:00:00Z', '2030-01-01T00:00:00Z', '2026-03-31T00:00:00Z'],
  },
  {
    name: 'a snapshot from the future moves no span',
    times: ['2026-03-25T00:00:00Z', '2026-03-31T00:00:00Z', '2099-01-01T00:00:00Z'],
    policy: { within: parseSpan('10d') },
    keep: ['2099-01-01T00:00:00Z', '2026-03-31T00:00:00Z', '2026-03-25T00:00:00Z'],
  },
  {
    name: 'no rule at all keeps everything',
    times: ['2020-01-01T00:00:00Z', '2021-01-01T00:00:00Z'],
    policy: {},
    keep: ['2021-01-01T00:00:00Z', '2020-01-01T00:00:00Z'],
  },
  {
    name: 'all of a kind may be kept',
    times: ['2024-01-01T00:00:00Z', '2024-06-01T00:00:00Z', '2025-01-01T00:00:00Z', '2026-01-01T00:00:00Z'],
    policy: { yearly: 'all' },
    keep: ['2026-01-01T00:00:00Z', '2025-01-01T00:00:00Z', '2024-06-01T00:00:00Z', '2024-01-01T00:00:00Z'],
  },
];

for (const { name, times, policy, keep } of cases) {
  test(`retention: ${name}`, () => {
    const [group] = decideRetention(
      times.map((time) => snapshotAt(time)),
      policy,
      { nowMs },
    );
    assert.deepEqual(
      group?.keep.map(({ snapshot }) => snapshot.time),
      keep,
    );
    assert.equal(group?.remove.length, times.length - keep.length);
  });
}

test('retention: a policy that would leave nothing of a group is refused by its name, unless that is asked for', () => {
  const snapshots = [
    snapshotAt('2026-01-01T00:00:00Z', { tags: ['keep'] }),
    snapshotAt('2026-01-01T00:00:01Z', { hostname: 'two', paths: ['/b', '/a'] }),
  ];
  const policy: RetentionPolicy = { tags: [['keep']] };
  assert.throws(
    () => decideRetention(snapshots, policy, { nowMs }),
    (err) => err instanceof MusterError && err.code === 'RETENTION_UNSAFE' && err.message.includes('host two, /a, /b'),
  );
  const groups = decideRetention(snapshots, policy, { nowMs, dropWholeGroups: true });
  assert.deepEqual(
    groups.map(({ keep, remove }) => [keep.length, remove.length]),
    [
      [1, 0],
      [0, 1],
    ],
  );
  assert.equal(decideRetention(snapshots, policy, { nowMs, groupBy: [] }).length, 1);
});

test('retention: every snapshot is kept with a reason or removed, once, and more kept never removes one', () => {
  const count = fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined });
  const policies = fc.record({
    last: count,
    hourly: count,
    daily: count,
    weekly: count,
    monthly: count,
    yearly: count,
  });
  const ages = fc.uniqueArray(fc.integer({ min: -100_000, max: 10_000_000 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(ages, policies, (minutes, counts) => {
      const snapshots = minutes.map((age) => snapshotAt(formatTime(BigInt(nowMs - age * 60_000) * 1_000_000n)));
      const policy = Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== undefined));
      const [group] = decideRetention(snapshots, policy, { nowMs, dropWholeGroups: true });
      const [more] = decideRetention(snapshots, { ...policy, last: (counts.last ?? 0) + 1 }, { nowMs });
      assert.ok(group !== undefined && more !== undefined);
      const kept = group.keep.map(({ snapshot }) => snapshot.id);
      assert.deepEqual(new Set([...kept, ...group.remove.map(({ id }) => id)]), new Set(snapshots.map(({ id }) => id)));
      assert.equal(kept.length + group.remove.length, snapshots.length);
      assert.ok(group.keep.every(({ reasons }) => reasons.length > 0));
      if (Object.keys(policy).length === 0) return;
      const oldest = group.keep.filter(({ reasons }) => reasons.every((reason) => reason === oldestReason));
      assert.ok(oldest.length <= 1);
      const still = new Set(more.keep.map(({ snapshot }) => snapshot.id));
      assert.ok(kept.every((id) => still.has(id)));
    }),
    { numRuns: 300 },
  );
});

const spans = [
  { time: '2026-03-31T12:00:00Z', span: '1m', before: '2026-03-03T12:00:00Z' },
  { time: '2024-02-29T00:00:00Z', span: '1y', before: '2023-03-01T00:00:00Z' },
  { time: '2026-01-01T00:30:00.000000001+08:00', span: '1d2h', before: '2025-12-30T22:30:00.000000001+08:00' },
];
for (const { time, span, before } of spans) {
  test(`${span} before ${time} is ${before}`, () => {
    assert.equal(spanBefore(time, parseSpan(span)), spanBefore(before, parseSpan('0h')));
  });
}

for (const text of ['', '5', 'd', '1w', '1d x', '-1d', '1.5d']) {
  test(`"${text}" is no span of time`, () => {
    assert.throws(
      () => parseSpan(text),
      (err) => err instanceof MusterError && err.code === 'CONFIG_INVALID',
    );
  });
}
