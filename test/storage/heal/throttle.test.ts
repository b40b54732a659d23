import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createThrottle } from '../../../storage-node/heal/throttle.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';

/** Asks at these moments, one after the other or at once; when each was let through, milliseconds from the start. */
async function letThrough(
  rate: number,
  asked: readonly { atMs: number; bytes: number }[],
  startMs = 10_000,
): Promise<number[]> {
  const clock: FakeClock = fakeClock(startMs);
  const throttle = createThrottle(clock, rate);
  const through: number[] = [];
  let at = 0;
  for (const [i, { atMs, bytes }] of asked.entries()) {
    await clock.pass(atMs - at);
    at = atMs;
    throttle(bytes).then(
      () => (through[i] = clock.monotonicMs() - startMs),
      (error: unknown) => assert.fail(String(error)),
    );
  }
  await clock.pass(10_000_000);
  return through;
}

describe('at 100 bytes a second', () => {
  const rows: { name: string; asked: [atMs: number, bytes: number][]; through: number[] }[] = [
    { name: 'a second of bytes comes at once', asked: [[0, 100]], through: [0] },
    { name: 'more waits for the rest', asked: [[0, 150]], through: [500] },
    {
      name: 'what comes behind it waits for both',
      asked: [
        [0, 100],
        [0, 100],
        [0, 50],
      ],
      through: [0, 1000, 1500],
    },
    {
      name: 'after a pause of half a second half of it comes at once',
      asked: [
        [0, 100],
        [500, 50],
        [500, 50],
      ],
      through: [0, 500, 1000],
    },
    {
      name: 'a long pause is worth no more than a second',
      asked: [
        [0, 100],
        [60_000, 100],
        [60_000, 100],
      ],
      through: [0, 60_000, 61_000],
    },
    {
      name: 'one that is as slow as the rate never waits',
      asked: [
        [0, 100],
        [1_000, 100],
        [2_000, 100],
      ],
      through: [0, 1_000, 2_000],
    },
    {
      name: 'nothing costs nothing',
      asked: [
        [0, 0],
        [0, 100],
        [0, 0],
      ],
      through: [0, 0, 0],
    },
  ];
  for (const { name, asked, through } of rows) {
    test(name, async () => {
      const list = asked.map(([atMs, bytes]) => ({ atMs, bytes }));
      assert.deepEqual(await letThrough(100, list), through);
    });
  }
});

test('without a rate nothing waits', async () => {
  const asked = [1e12, 1e12, 1e12].map((bytes) => ({ atMs: 0, bytes }));
  for (const rate of [0, -1]) assert.deepEqual(await letThrough(rate, asked), [0, 0, 0]);
});

test('in any stretch of time no more gets through than the rate and one second of it, and nothing waits longer than that takes', async () => {
  const asking = fc.array(fc.record({ pauseMs: fc.nat({ max: 3_000 }), bytes: fc.nat({ max: 5_000 }) }), {
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(asking, fc.integer({ min: 100, max: 5_000 }), async (list, rate) => {
      let atMs = 0;
      const asked = list.map(({ pauseMs, bytes }) => ({ atMs: (atMs += pauseMs), bytes }));
      const through = await letThrough(rate, asked);
      for (let first = 0; first < asked.length; first++) {
        let bytes = 0;
        for (let last = first; last < asked.length; last++) {
          bytes += asked[last]!.bytes;
          const stretchMs = through[last]! - asked[first]!.atMs;
          assert.ok(bytes <= (rate * (stretchMs + 1_000)) / 1_000 + 0.001, `${bytes} in ${stretchMs} ms`);
        }
      }
      // As if everything had been asked for at the last moment, and no second was saved up.
      const total = asked.reduce((sum, { bytes }) => sum + bytes, 0);
      assert.ok(Math.max(...through) <= asked.at(-1)!.atMs + (total / rate) * 1_000 + 0.001);
    }),
    { numRuns: 30 },
  );
});
