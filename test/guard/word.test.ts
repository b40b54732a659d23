import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { elapse, startElapsed } from '../../activities/guard/elapsed.ts';
import type { LeaseAnswer } from '../../activities/guard/protocol.ts';
import { weigh, weightier, type Word } from '../../activities/guard/word.ts';

type Refusal = Extract<LeaseAnswer, { kind: 'refused' }>;
const refused = (epoch: number, holder: string | null, why: Refusal['why']): Refusal => ({
  kind: 'refused',
  epoch,
  holder,
  why,
});

describe('what an answer means to hangzhou', () => {
  const cases: { name: string; asked: number; answer: LeaseAnswer; want: Word['kind'] }[] = [
    { name: 'granted as asked', asked: 2, answer: { kind: 'granted', epoch: 2, ttlMs: 10 }, want: 'granted' },
    { name: 'granted something else', asked: 2, answer: { kind: 'granted', epoch: 1, ttlMs: 10 }, want: 'none' },
    { name: 'another site holds a newer epoch', asked: 2, answer: refused(3, 'beijing', 'other-holder'), want: 'over' },
    { name: 'another site holds this epoch', asked: 2, answer: refused(2, 'beijing', 'other-holder'), want: 'over' },
    { name: 'this epoch was stopped', asked: 2, answer: refused(2, 'hangzhou', 'stopped'), want: 'over' },
    { name: 'this site has a newer epoch', asked: 2, answer: refused(3, 'hangzhou', 'stale-epoch'), want: 'named' },
    {
      name: 'only asked which, and it is this site',
      asked: 0,
      answer: refused(3, 'hangzhou', 'stale-epoch'),
      want: 'named',
    },
    {
      name: 'a granter that was away and knows an old holder',
      asked: 2,
      answer: refused(1, 'beijing', 'other-holder'),
      want: 'none',
    },
    {
      name: 'a granter that was away and knows an old epoch',
      asked: 2,
      answer: refused(1, 'hangzhou', 'stale-epoch'),
      want: 'none',
    },
    { name: 'a granter that knows nobody', asked: 2, answer: refused(0, null, 'other-holder'), want: 'none' },
    {
      name: 'a granter that knows nobody, and was stopped',
      asked: 0,
      answer: refused(0, null, 'other-holder'),
      want: 'none',
    },
    { name: 'a granter without this service', asked: 2, answer: refused(0, null, 'unknown-service'), want: 'none' },
    { name: 'the granter of its own site', asked: 2, answer: refused(2, 'hangzhou', 'own-site'), want: 'none' },
  ];
  for (const { name, asked, answer, want } of cases) {
    test(`${name}: ${want}`, () => assert.equal(weigh('hangzhou', asked, answer).kind, want));
  }

  const none: Word = { kind: 'none', why: '' };
  const granted: Word = { kind: 'granted', epoch: 2, ttlMs: 10 };
  const pairs: { name: string; a: Word; b: Word; want: Word['kind'] }[] = [
    { name: 'a grant beats silence', a: none, b: granted, want: 'granted' },
    {
      name: 'a newer epoch elsewhere beats a grant',
      a: granted,
      b: { kind: 'over', throughEpoch: 3, why: '' },
      want: 'over',
    },
    {
      name: 'a stop of the same epoch beats a grant',
      a: granted,
      b: { kind: 'over', throughEpoch: 2, why: '' },
      want: 'over',
    },
    { name: 'a newer epoch here beats a grant', a: granted, b: { kind: 'named', epoch: 3 }, want: 'named' },
    {
      name: 'a newer epoch here beats an older one elsewhere',
      a: { kind: 'named', epoch: 4 },
      b: { kind: 'over', throughEpoch: 3, why: '' },
      want: 'named',
    },
    {
      name: 'of the same epoch twice, the refusal counts',
      a: { kind: 'named', epoch: 3 },
      b: { kind: 'over', throughEpoch: 3, why: '' },
      want: 'over',
    },
  ];
  for (const { name, a, b, want } of pairs) {
    test(name, () => {
      assert.equal(weightier(a, b).kind, want);
      assert.equal(weightier(b, a).kind, want, 'in whichever order they came');
    });
  }
});

describe('elapsed time', () => {
  const start = startElapsed({ monotonicMs: 500, wallMs: 1e12 });
  const cases = [
    { name: 'both clocks agree', monotonicMs: 700, wallMs: 200, wantMs: 200 },
    { name: 'the machine slept: the wall clock counts', monotonicMs: 600, wallMs: 5000, wantMs: 5000 },
    { name: 'the wall clock was set back: monotonic time counts', monotonicMs: 700, wallMs: -3_600_000, wantMs: 200 },
  ];
  for (const { name, monotonicMs, wallMs, wantMs } of cases) {
    test(name, () => assert.equal(elapse(start, { monotonicMs, wallMs: 1e12 + wallMs }).nowMs, wantMs));
  }

  test('a sleep after the wall clock was set back still counts', () => {
    const setBack = elapse(start, { monotonicMs: 600, wallMs: 1e12 + 100 - 3_600_000 });
    const slept = elapse(setBack, { monotonicMs: 650, wallMs: 1e12 + 100 - 3_600_000 + 9000 });
    assert.equal(slept.nowMs, 100 + 9000);
  });

  test('it never runs behind the monotonic clock, and reading often adds nothing to it', () => {
    const steps = fc.array(fc.double({ min: 0, max: 40, noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(steps, (stepsMs) => {
        let passedMs = 0;
        let now = start;
        for (const stepMs of stepsMs) {
          passedMs += stepMs;
          now = elapse(now, { monotonicMs: 500 + passedMs, wallMs: Math.floor(1e12 + passedMs) });
          assert.ok(Math.abs(now.nowMs - passedMs) < 1e-6);
        }
      }),
    );
  });

  test('it counts at least every forward jump, whatever happens around it', () => {
    const jump = fc.record({ stepMs: fc.integer({ min: 0, max: 100 }), jumpMs: fc.integer({ min: -5000, max: 5000 }) });
    fc.assert(
      fc.property(fc.array(jump, { maxLength: 50 }), (jumps) => {
        let now = start;
        let monotonicMs = 500;
        let wallMs = 1e12;
        for (const { stepMs, jumpMs } of jumps) {
          const before = now.nowMs;
          monotonicMs += stepMs;
          wallMs += stepMs + jumpMs;
          now = elapse(now, { monotonicMs, wallMs });
          assert.ok(now.nowMs - before >= stepMs + Math.max(0, jumpMs) - 4, `${stepMs} ${jumpMs}`);
        }
      }),
    );
  });
});
