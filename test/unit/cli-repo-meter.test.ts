/** What progress may promise: a pace that was seen, and an end only where the size is known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Meter } from '../../cli/repo/meter.ts';

const nothing = { bytesPerSecond: null, secondsLeft: null };

test('in the first seconds nothing is promised', () => {
  const meter = new Meter();
  assert.deepEqual(meter.pace(0, 0, 1_000), nothing);
  assert.deepEqual(meter.pace(2_900, 500, 1_000), nothing);
});

test('what goes on evenly ends when it was said to', () => {
  const meter = new Meter();
  for (let second = 0; second < 60; second++) {
    const pace = meter.pace(second * 1_000, second * 100, 6_000);
    if (second < 3) assert.deepEqual(pace, nothing);
    else assert.deepEqual(pace, { bytesPerSecond: 100, secondsLeft: 60 - second });
  }
});

test('without a total there is a pace and no end', () => {
  const meter = new Meter();
  meter.pace(0, 0, null);
  assert.deepEqual(meter.pace(5_000, 500, null), { bytesPerSecond: 100, secondsLeft: null });
});

test('what stands still has no pace and no end, however fast it was', () => {
  const meter = new Meter();
  meter.pace(0, 0, 2_000);
  meter.pace(4_000, 1_000, 2_000);
  for (let second = 5; second < 40; second++) meter.pace(second * 1_000, 1_000, 2_000);
  assert.deepEqual(meter.pace(40_000, 1_000, 2_000), nothing);
});

test('more than the total means that the total was wrong: no end is told', () => {
  const meter = new Meter();
  meter.pace(0, 0, 100);
  assert.deepEqual(meter.pace(5_000, 500, 100), { bytesPerSecond: 100, secondsLeft: null });
});

test('an end is never told of what has no total, and never lies in the past', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 5_000 }), fc.nat(10_000)), { minLength: 1 });
  fc.assert(
    fc.property(steps, fc.option(fc.nat(1_000_000)), (moves, total) => {
      const meter = new Meter();
      let [atMs, bytes] = [0, 0];
      for (const [ms, more] of moves) {
        const { bytesPerSecond, secondsLeft } = meter.pace((atMs += ms), (bytes += more), total);
        if (bytesPerSecond !== null) assert.ok(bytesPerSecond > 0 && Number.isFinite(bytesPerSecond));
        if (secondsLeft !== null) assert.ok(total !== null && secondsLeft >= 0 && Number.isFinite(secondsLeft));
      }
    }),
  );
});
