import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { detect, type DetectPolicy, type Sightings, type Verdict } from '../../worker/watch/detect.ts';
import { noLooksYet, recordLook, viewOf, type ProbeHistory } from '../../worker/watch/probe-history.ts';

const policy: DetectPolicy = { declare: 'automatic', holdMs: 3000, cooldownMs: 3_600_000 };
const up = { up: true, downForMs: 0, failedForMs: 0, why: '' };
const down = (failedForMs: number, downForMs = failedForMs + 500) => ({
  up: false,
  downForMs,
  failedForMs,
  why: 'refused',
});

describe('detect', () => {
  const cases: {
    name: string;
    sees: Sightings;
    ages?: readonly number[];
    declare?: 'ask';
    want: Verdict['kind'];
    why?: RegExp;
  }[] = [
    { name: 'all see it', sees: { control: up, beijing: up }, want: 'up' },
    { name: 'one sees it, the other cannot be asked', sees: { control: up, beijing: null }, want: 'up' },
    { name: 'nobody could look', sees: { control: null, beijing: null }, want: 'suspect', why: /cannot be asked/ },
    {
      name: 'one misses it for long, the other sees it',
      sees: { control: down(43_000), beijing: up },
      want: 'suspect',
      why: /not agreed: seen from beijing/,
    },
    {
      name: 'one misses it for long, the other cannot be asked',
      sees: { control: down(43_000), beijing: null },
      want: 'suspect',
      why: /beijing cannot be asked/,
    },
    {
      name: 'a single vantage point misses it for long',
      sees: { control: down(43_000) },
      want: 'suspect',
      why: /single/,
    },
    {
      name: 'two of three agree, the third sees it',
      sees: { control: down(9000), beijing: down(9000), shanghai: up },
      want: 'suspect',
    },
    { name: 'all agree since a moment ago', sees: { control: down(100), beijing: down(200) }, want: 'detected' },
    {
      name: 'all agree, one of them for too short a time',
      sees: { control: down(9000), beijing: down(2999) },
      want: 'detected',
    },
    {
      name: 'all agree for as long as it is held',
      sees: { control: down(3000), beijing: down(3000) },
      want: 'declared',
    },
    {
      name: 'the last success is long ago, the failures are new',
      sees: { control: down(100, 60_000), beijing: down(100, 60_000) },
      want: 'detected',
    },
    {
      name: 'a view without the start of its failures counts from its last success',
      sees: { control: { up: false, downForMs: 3000, why: '' }, beijing: down(3000) },
      want: 'declared',
    },
    {
      name: 'the policy lets a person declare',
      sees: { control: down(9000), beijing: down(9000) },
      declare: 'ask',
      want: 'blocked',
      why: /person/,
    },
    {
      name: 'declared an hour ago less a second',
      sees: { control: down(9000), beijing: down(9000) },
      ages: [3_599_000],
      want: 'blocked',
      why: /in 1 min/,
    },
    {
      name: 'declared an hour ago',
      sees: { control: down(9000), beijing: down(9000) },
      ages: [3_600_000],
      want: 'declared',
    },
    {
      name: 'declared twice today',
      sees: { control: down(9000), beijing: down(9000) },
      ages: [4_000_000, 80_000_000],
      want: 'blocked',
      why: /2 times within a day/,
    },
    {
      name: 'declared once today and once yesterday',
      sees: { control: down(9000), beijing: down(9000) },
      ages: [4_000_000, 90_000_000],
      want: 'declared',
    },
  ];
  for (const { name, sees, ages = [], declare = 'automatic', want, why } of cases) {
    test(`${name}: ${want}`, () => {
      const verdict = detect(sees, { ...policy, declare }, ages);
      assert.equal(verdict.kind, want);
      if (why !== undefined) assert.match('why' in verdict ? verdict.why : '', why);
    });
  }

  test('a detected outage is as long as the shortest view of it', () => {
    assert.deepEqual(detect({ control: down(900, 1000), beijing: down(100, 600) }, policy, null), {
      kind: 'detected',
      downForMs: 600,
    });
  });

  test('one age alone is the newest declaration, and null is none', () => {
    const sees = { control: down(9000), beijing: down(9000) };
    assert.equal(detect(sees, policy, 1000).kind, 'blocked');
    assert.equal(detect(sees, policy, null).kind, 'declared');
  });

  test('whatever is seen: no declaration while anybody sees the writer, cannot be asked, or has just begun to miss it', () => {
    const view = fc.oneof(
      fc.constant(null),
      fc.constant(up),
      fc.integer({ min: 0, max: 6000 }).map((ms) => down(ms)),
    );
    const views = fc.dictionary(fc.constantFrom('control', 'beijing', 'shanghai'), view);
    const ages = fc.array(fc.integer({ min: 0, max: 2e8 }), { maxLength: 3 });
    fc.assert(
      fc.property(views, ages, (sees, agesMs) => {
        const all = Object.values(sees);
        const agreed =
          all.length >= 2 && all.every((one) => one !== null && !one.up && one.failedForMs >= policy.holdMs);
        const rested =
          agesMs.every((ageMs) => ageMs >= policy.cooldownMs) &&
          agesMs.filter((ageMs) => ageMs < 86_400_000).length < 2;
        assert.equal(detect(sees, policy, agesMs).kind === 'declared', agreed && rested);
      }),
      { numRuns: 2000 },
    );
  });
});

/** An hour of two vantage points that look every second, with a deadline of a second; what they can reach is given. */
function watchFor(
  seconds: number,
  reaches: (from: string, atMs: number) => boolean,
  knows: (atMs: number) => boolean = () => true,
) {
  const stepMs = 250;
  const seen: Record<string, ProbeHistory> = { control: noLooksYet(0), beijing: noLooksYet(0) };
  const declaredAtMs: number[] = [];
  for (let nowMs = 0; nowMs <= seconds * 1000; nowMs += stepMs) {
    for (const from of Object.keys(seen)) {
      const startedMs = nowMs - 1000;
      if (startedMs % 1000 === 0 && startedMs >= 0) {
        const ok = reaches(from, startedMs);
        seen[from] = recordLook(
          seen[from] as ProbeHistory,
          ok ? { startedMs, ok } : { startedMs, ok, why: 'no answer' },
        );
      }
    }
    const sightings = {
      control: viewOf(seen['control'] as ProbeHistory, nowMs),
      beijing: knows(nowMs) ? viewOf(seen['beijing'] as ProbeHistory, nowMs) : null,
    };
    const ages = declaredAtMs.map((atMs) => nowMs - atMs);
    if (detect(sightings, policy, ages).kind === 'declared') declaredAtMs.push(nowMs);
  }
  return declaredAtMs;
}

describe('watching for an hour', () => {
  const cut = (fromMs: number, toMs: number) => (atMs: number) => atMs >= fromMs && atMs < toMs;
  const away = cut(60_000, 103_000);
  const flapping = (atMs: number): boolean => Math.floor(atMs / 10_000) % 2 === 1;

  test('a cut of 43 s that one side alone sees declares nothing', () => {
    assert.deepEqual(
      watchFor(3600, (from, atMs) => from !== 'control' || !away(atMs)),
      [],
    );
    assert.deepEqual(
      watchFor(3600, (from, atMs) => from !== 'beijing' || !away(atMs)),
      [],
    );
  });

  test('a cut that both see, one after the other, declares nothing', () => {
    const alternating = (from: string, atMs: number): boolean => flapping(atMs) === (from === 'control');
    assert.deepEqual(watchFor(3600, alternating), []);
  });

  test('an outage that all see is declared once, as soon as it was held', () => {
    const declared = watchFor(3600, (_, atMs) => atMs < 60_000);
    assert.equal(declared.length, 1);
    const afterMs = (declared[0] ?? 0) - 60_000;
    assert.ok(afterMs >= policy.holdMs && afterMs <= policy.holdMs + 2000, `${afterMs} ms`);
  });

  test('an outage while the other vantage point cannot be asked is declared when it can be again', () => {
    const declared = watchFor(
      3600,
      (_, atMs) => atMs < 60_000,
      (atMs) => !cut(50_000, 200_000)(atMs),
    );
    assert.deepEqual(declared, [200_000]);
  });

  test('ten seconds on, ten seconds off, for an hour, declares at most once', () => {
    assert.equal(watchFor(3600, (_, atMs) => !flapping(atMs)).length, 1);
  });

  test('a day of outages is declared no more often than the budget allows', () => {
    assert.equal(watchFor(86_000, (_, atMs) => !flapping(atMs)).length, 2);
  });
});
