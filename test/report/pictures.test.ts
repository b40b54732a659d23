import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { placeFlags, type Flag } from '../../console/report/flags.ts';
import { formatFigure, formatMs, formatSeconds, momentFormat } from '../../console/report/format.ts';
import { secondsOfClients, writeGapOfClients, type ClientWrite } from '../../console/report/from-clients.ts';
import { niceTicks, tickText } from '../../console/report/scale.ts';
import { timeAxis, type Span } from '../../console/report/time-axis.ts';

const durations: [seconds: number, text: string][] = [
  [0, '0 s'],
  [0.0002, '< 1 ms'],
  [0.34, '340 ms'],
  [0.9996, '1.00 s'],
  [2.944, '2.94 s'],
  [5, '5 s'],
  [9.996, '10.0 s'],
  [34.24, '34.2 s'],
  [59.96, '1 min'],
  [125, '2 min 05 s'],
  [3_600, '1 h'],
  [12_000, '3 h 20 min'],
  [86_399, '1 d'],
  [190_800, '2 d 05 h'],
];
for (const [seconds, text] of durations)
  test(`${seconds} seconds are written ${text}`, () => assert.equal(formatSeconds(seconds), text));

test('figures carry their unit, moments their zone', () => {
  assert.equal(formatFigure(131_072, 'bytes'), '128 KiB');
  assert.equal(formatFigure(1_536, 'bytes'), '1.5 KiB');
  assert.equal(formatFigure(94, 'rows'), '94 rows');
  assert.equal(formatMs(-1_224), '−1.22 s');
  const moment = momentFormat('Asia/Shanghai');
  assert.equal(moment.full(Date.UTC(2026, 10, 20, 18, 0, 3)), '2026-11-21 02:00:03');
  assert.equal(momentFormat().time(Date.UTC(2026, 10, 20, 0, 0, 3, 7)), '00:00:03.007');
});

test('ticks are round and inside their span', () => {
  assert.deepEqual(niceTicks(0, 212, 4), [0, 100, 200]);
  assert.deepEqual([-20, 0, 0.5, 90, 125, 7_500].map(tickText), ['−20 s', '0', '0.5 s', '90 s', '2:05 min', '2:05 h']);
});

test('names of clocks cross neither one another nor a line, however close the clocks are', () => {
  const name = fc.string({ minLength: 1, maxLength: 20 });
  const flags = fc.array(fc.record({ x: fc.double({ min: 0, max: 900, noNaN: true }), text: name }), { maxLength: 11 });
  const property = fc.property(flags, (wanted) => {
    const placed = placeFlags(wanted.map((flag): Flag => ({ ...flag, kind: 'clock' })));
    for (const flag of placed) {
      const end = flag.x + 10 + flag.text.length * 6.7;
      // To the right of a line stands its name; a line that begins as high or higher must not run through it.
      const crossing = placed.filter((other) => other.x > flag.x && other.x < end && other.tier >= flag.tier);
      assert.deepEqual(crossing, []);
    }
  });
  fc.assert(property, { numRuns: 500 });
});

test('an axis with cuts keeps the order of moments and its ends, and long waits take little room', () => {
  const span = fc
    .tuple(fc.nat(5_000), fc.nat(800))
    .map(([from, length]): Span => ({ fromMs: from, toMs: from + length }));
  const property = fc.property(fc.array(span, { minLength: 1, maxLength: 12 }), fc.nat(10_000_000), (busy, waitMs) => {
    const later = { fromMs: 6_000 + waitMs, toMs: 6_400 + waitMs };
    const domain = { fromMs: 0, toMs: later.toMs };
    const axis = timeAxis(domain, [...busy, later], [100, 900]);
    assert.ok(Math.abs(axis.x(0) - 100) < 1e-6 && Math.abs(axis.x(domain.toMs) - 900) < 1e-6);
    const moments = [...busy, later].flatMap(({ fromMs, toMs }) => [fromMs, toMs]).sort((a, b) => a - b);
    const places = moments.map((atMs) => axis.x(atMs));
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
    );
    for (const cut of axis.cuts) assert.ok(cut.x1 - cut.x0 <= 64.001);
    for (const { x } of axis.ticks(0, 9)) assert.ok(x >= 99.9 && x <= 900.1);
  });
  fc.assert(property, { numRuns: 300 });
});

const at = (endAtMs: number, site: string | null, acked = true): ClientWrite => ({ endAtMs, acked, site });

test('seconds of clients count acknowledged and failed writes by site', () => {
  const writes = [at(1_900, 'a'), at(1_100, 'a'), at(1_200, 'b'), at(2_000, null, false), at(1_500, 'a', false)];
  assert.deepEqual(secondsOfClients(writes), [
    { atMs: 1_000, site: 'a', acked: 2, failed: 1 },
    { atMs: 1_000, site: 'b', acked: 1, failed: 0 },
    { atMs: 2_000, site: null, acked: 0, failed: 1 },
  ]);
});

const gaps: { name: string; acks: number[]; span: Span; until: number; gap: [number, number | null] | null }[] = [
  {
    name: 'the longest that touches the span',
    acks: [0, 900, 1_000, 1_300, 1_400],
    span: { fromMs: 950, toMs: 2_000 },
    until: 1_450,
    gap: [1_000, 1_300],
  },
  {
    name: 'one that began before the span',
    acks: [0, 900, 1_000],
    span: { fromMs: 500, toMs: 2_000 },
    until: 1_050,
    gap: [0, 900],
  },
  {
    name: 'one that never ended',
    acks: [0, 100, 200],
    span: { fromMs: 150, toMs: 900 },
    until: 2_000,
    gap: [200, null],
  },
  { name: 'none when nothing was acknowledged', acks: [], span: { fromMs: 0, toMs: 1 }, until: 5, gap: null },
];
for (const { name, acks, span, until, gap } of gaps)
  test(`the write gap is ${name}`, () => {
    const found = writeGapOfClients(
      acks.map((ms) => at(ms, 'a')),
      span,
      until,
    );
    assert.deepEqual(found === null ? null : [found.lastAckBeforeMs, found.firstAckAfterMs], gap);
  });
