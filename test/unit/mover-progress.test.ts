import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMeter, etaMs, noCounts } from '../../activities/mover/run/progress.ts';
import { createUnderWay } from '../../activities/mover/run/under-way.ts';
import { fitted, progressText, stoppedText } from '../../cli/copy-view.ts';

const gib = 2 ** 30;

test('parts of a large object are progress, a rate and an end before it is whole', () => {
  let nowMs = 0;
  const meter = createMeter(() => nowMs);
  const underWay = createUnderWay((bytes) => meter.add(0, bytes));
  const counts = { ...noCounts(), wanted: 1, wantedBytes: 100 * gib };
  assert.equal(etaMs({ counts, underWayBytes: 0 }, meter.rate(), true), undefined);
  for (nowMs = 1_000; nowMs <= 10_000; nowMs += 1_000) underWay.add('large', gib, 'now');
  nowMs = 10_000;
  assert.equal(underWay.bytes, 10 * gib);
  assert.equal(etaMs({ counts, underWayBytes: underWay.bytes }, meter.rate(), true), 90_000);
  const text = progressText({
    ...{ counts, underWayBytes: underWay.bytes, elapsedMs: nowMs, rate: meter.rate() },
    ...{ etaMs: 90_000, listed: true, paused: undefined },
  });
  assert.match(text, /^0 of 1 objects · 10\.0 GiB of 100\.0 GiB · .*1\.0 GiB\/s.*ETA 1 min 30 s/);
});

test('parts that an earlier run has sent are there, and no speed', () => {
  let moved = 0;
  const underWay = createUnderWay((bytes) => (moved += bytes));
  underWay.add('large', 40, 'before');
  underWay.add('large', 2, 'now');
  assert.deepEqual([underWay.bytes, moved], [42, 2]);
  assert.deepEqual([underWay.end('large'), underWay.end('large'), underWay.bytes], [42, 0, 0]);
});

test('a line of progress never takes a second line of the terminal', () => {
  assert.equal(fitted('12345678', 6), '12345');
  assert.equal(fitted('1234', 80), '1234');
  assert.equal(fitted('x'.repeat(100), 0).length, 79);
});

test('what ended a copy early is told with the way out', () => {
  assert.match(stoppedText({ code: 'ABORTED', message: 'ended from outside' }), /ended from outside\n {2}Run it again/);
  assert.match(stoppedText({ code: 'BUCKET_UNKNOWN', message: 'no x at y' }), /no x at y\n {2}Create the bucket/);
});
