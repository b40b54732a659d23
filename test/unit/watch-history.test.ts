import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { noLooksYet, recordLook, viewOf, type Look } from '../../worker/watch/probe-history.ts';

const good = (startedMs: number): Look => ({ startedMs, ok: true });
const bad = (startedMs: number): Look => ({ startedMs, ok: false, why: 'refused' });

const cases: {
  name: string;
  looks: Look[];
  want: { up: boolean; downForMs: number; failedForMs: number; failures: number };
}[] = [
  { name: 'nothing seen yet counts as up', looks: [], want: { up: true, downForMs: 0, failedForMs: 0, failures: 0 } },
  { name: 'a good look is up', looks: [good(10)], want: { up: true, downForMs: 0, failedForMs: 0, failures: 0 } },
  {
    name: 'down counts from the start of the last good look, failed from the start of the first failed one',
    looks: [good(10), bad(20), bad(30)],
    want: { up: false, downForMs: 90, failedForMs: 80, failures: 2 },
  },
  {
    name: 'a good look ends the outage',
    looks: [good(10), bad(20), good(30)],
    want: { up: true, downForMs: 0, failedForMs: 0, failures: 0 },
  },
  {
    name: 'a failure that began before the last good look says nothing',
    looks: [good(30), bad(20)],
    want: { up: true, downForMs: 0, failedForMs: 0, failures: 0 },
  },
  {
    name: 'a good look that began before the failure does not undo it, but is the last good one',
    looks: [good(10), bad(30), good(20)],
    want: { up: false, downForMs: 80, failedForMs: 70, failures: 1 },
  },
  {
    name: 'an earlier failure that ends later moves the start of the outage back',
    looks: [good(10), bad(30), bad(20)],
    want: { up: false, downForMs: 90, failedForMs: 80, failures: 2 },
  },
];
for (const { name, looks, want } of cases) {
  test(`probe history: ${name}`, () => {
    const { why, ...view } = viewOf(looks.reduce(recordLook, noLooksYet(0)), 100);
    assert.deepEqual(view, want);
    assert.equal(why, want.up ? '' : 'refused');
  });
}

test('probe history: in whatever order looks end, the newest start decides, and no outage is older than its first failure', () => {
  const look = fc.record({ startedMs: fc.integer({ min: 1, max: 50 }), ok: fc.boolean() });
  const looks = fc.uniqueArray(look, { selector: ({ startedMs }) => startedMs, minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(looks, (seen) => {
      const history = seen
        .map(({ startedMs, ok }) => (ok ? good(startedMs) : bad(startedMs)))
        .reduce(recordLook, noLooksYet(0));
      const view = viewOf(history, 100);
      const newest = seen.reduce((a, b) => (b.startedMs > a.startedMs ? b : a));
      const lastGoodMs = Math.max(0, ...seen.filter(({ ok }) => ok).map(({ startedMs }) => startedMs));
      if (newest.ok) assert.equal(view.up, true);
      if (!view.up) assert.equal(view.downForMs, 100 - lastGoodMs);
      assert.ok(view.failedForMs <= view.downForMs || view.up);
    }),
  );
});
