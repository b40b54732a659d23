import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildReport } from '../../console/report/build.ts';
import type { ReportInput, ReportRunInput, RunTruth } from '../../console/report/input.ts';
import type { Report } from '../../console/report/model.ts';
import type { Run } from '../../workflows/engine/run.ts';
import { play, type Play } from './play.ts';
import {
  conflictSet,
  done,
  failback,
  failover,
  faultAtMs,
  figure,
  lostOrders,
  sampleInput,
  sampleRuns,
} from './sample.ts';

const sample = sampleInput();
const { failover: failoverRun, reprotect: reprotectRun, failback: failbackRun } = sampleRuns();

function reportOf(...runs: ReportRunInput[]): Report {
  return buildReport({ ...sample, runs });
}

/** The sample's failover, played with other answers of the world. */
function failoverWith(change: Partial<Play>): ReportRunInput {
  return play({ ...failover, ...change, world: { ...failover.world, ...change.world } });
}

const seen = { 'observe-orders': () => done(40, {}, [figure('rpoSeconds', 'canary', 1)]) };
const truth: RunTruth = { acknowledged: 100, lost: [], ackedByOldAfterPromotion: [], twoWritersMs: 0 };

const verdicts: { name: string; runs: () => ReportRunInput[]; verdict: Report['verdict']; headline: RegExp }[] = [
  {
    name: 'a game day with every objective met and the truth in accord passes',
    runs: () => sampleInput().runs,
    verdict: 'passed',
    headline:
      /^Clients of shop were served by beijing 3\.18 s after the fault\. 94 acknowledged writes were lost, every one of them listed\. The way home to hangzhou cost clients 313 ms\.$/,
  },
  {
    name: 'a failover alone passes with its objectives, unprotected as it is',
    runs: () => [failoverWith({})],
    verdict: 'passed',
    headline: /At most 1\.48 s of writes were lost/,
  },
  {
    name: 'an RTO that is missed fails',
    runs: () => [failoverWith({ world: { 'fence-orders': () => done(29_000) } })],
    verdict: 'failed',
    headline: /31\.8 s after the fault/,
  },
  {
    name: 'an RPO that is missed fails, whoever accepted it',
    runs: () => [
      failoverWith({
        world: {
          'check-orders': () => done(60, {}, [figure('rpoSeconds', 'lsn', 6)]),
          'observe-orders': () => done(40, {}, [figure('rpoSeconds', 'lsn', 6)]),
        },
        people: {
          'check-orders': { afterMs: 900, by: 'Chen Yu', why: 'hangzhou is gone' },
          'observe-orders': { afterMs: 900, by: 'Chen Yu', why: 'still gone' },
        },
      }),
    ],
    verdict: 'failed',
    headline: /At most 6 s of writes were lost/,
  },
  {
    name: 'a loss that nobody measured does not pass, although a person let the run go on',
    runs: () => [
      failoverWith({
        world: {
          'check-orders': () => done(60),
          'observe-orders': () => done(40, {}, [figure('rpoSeconds', 'lsn', null)]),
        },
        people: {
          'check-orders': { afterMs: 900, by: 'Chen Yu', why: 'hangzhou is gone' },
          'observe-orders': { afterMs: 900, by: 'Chen Yu', why: 'still gone' },
        },
      }),
    ],
    verdict: 'unproven',
    headline: /What was lost is not known/,
  },
  {
    name: 'an unplanned run without a known fault does not pass',
    runs: () => [failoverWith({ clocks: {} })],
    verdict: 'unproven',
    headline: /How long shop was away is not known/,
  },
  {
    name: 'a run that was aborted fails',
    runs: () => [failoverWith({ orders: [{ afterMs: 200, op: 'abort', by: 'Chen Yu', why: 'false alarm' }] })],
    verdict: 'failed',
    headline: /^The failover of shop was aborted: by Chen Yu: false alarm\.$/,
  },
  {
    name: 'a run still asking a person is running',
    runs: () => [
      failoverWith({ world: { 'check-orders': () => done(60, {}, [figure('rpoSeconds', 'lsn', 9)]) }, people: {} }),
    ],
    verdict: 'running',
    headline: /It is still running\.$/,
  },
  {
    name: 'a record that was changed fails whatever it says',
    runs: () => [{ ...failoverRun, chain: { ok: false, seq: 7, why: 'the content is not what was hashed' } }],
    verdict: 'failed',
    headline: /was changed at event 7: none of its figures can be relied on/,
  },
  {
    name: 'a missing write that no conflict set names fails',
    runs: () => [failoverRun, { ...reprotectRun, conflictSets: [{ ...conflictSet, rows: conflictSet.rows.slice(1) }] }],
    verdict: 'failed',
    headline: /94 acknowledged writes were lost, 1 of them not listed/,
  },
  {
    name: 'a loss that is larger than reported fails',
    runs: () => {
      const early = { ...lostOrders[0]!, ackedAtMs: faultAtMs - 1_483 };
      return [{ ...failoverRun, truth: { ...truth, lost: [early] }, conflictSets: [conflictSet] }];
    },
    verdict: 'failed',
    headline: /1 acknowledged write was lost, every one of them listed/,
  },
  {
    name: 'two writers that clients could reach fail',
    runs: () => [{ ...failoverRun, truth: { ...truth, twoWritersMs: 12 } }],
    verdict: 'failed',
    headline: /No acknowledged write was lost/,
  },
  {
    name: 'clients that were served later than reported fail the report',
    runs: () => [
      { ...failoverRun, truth, writeGap: { lastAckBeforeMs: faultAtMs, firstAckAfterMs: faultAtMs + 3_200 } },
    ],
    verdict: 'failed',
    headline: /3\.18 s/,
  },
  {
    name: 'a planned move that lost a write fails',
    runs: () => [{ ...failbackRun, truth: { ...truth, lost: lostOrders.slice(0, 1) }, conflictSets: [conflictSet] }],
    verdict: 'failed',
    headline: /hangzhou/,
  },
];
for (const { name, runs, verdict, headline } of verdicts) {
  test(name, () => {
    const report = reportOf(...runs());
    assert.match(report.headline, headline);
    assert.equal(report.verdict, verdict);
  });
}

test('whatever was measured and stamped, only known figures inside their objectives pass', () => {
  const value = fc.option(fc.double({ min: 0, max: 12, noNaN: true }));
  const moment = fc.option(fc.integer({ min: faultAtMs - 40_000, max: faultAtMs + 40_000 }));
  const property = fc.property(value, value, moment, moment, (canary, lsn, fault, verified) => {
    const measurements = [figure('rpoSeconds', 'canary', canary), figure('rpoSeconds', 'lsn', lsn)];
    const clocks: Run['clocks'] = { started: faultAtMs, promoted: faultAtMs + 1 };
    if (fault !== null) clocks.fault = fault;
    if (verified !== null) clocks.verified = verified;
    const final = { ...failoverRun.run.final!, measurements, clocks };
    const [rto, rpo] = reportOf({ ...failoverRun, truth: null, run: { ...failoverRun.run, final } }).objectives;
    const away = fault === null || verified === null || verified < fault ? null : (verified - fault) / 1000;
    const lost = canary === null && lsn === null ? null : Math.max(canary ?? 0, lsn ?? 0);
    assert.equal(rto?.verdict, away === null ? 'unknown' : away <= 30 ? 'met' : 'missed');
    assert.equal(rpo?.verdict, lost === null ? 'unknown' : lost <= 5 ? 'met' : 'missed');
    assert.equal(rpo?.actualSeconds, lost);
  });
  fc.assert(property, { numRuns: 400 });
});

test('the larger method is the figure, and a later measurement replaces an earlier one of its method', () => {
  const world = {
    'check-orders': () => done(60, {}, [figure('rpoSeconds', 'canary', 4.9)]),
    'observe-orders': () =>
      done(40, {}, [
        figure('rpoSeconds', 'canary', 1.2),
        figure('rpoSeconds', 'lsn', 2.5),
        figure('rpoSeconds', 'provider', null),
      ]),
  };
  const rpo = reportOf(failoverWith({ world })).runs[0]?.rpo;
  assert.equal(rpo?.seconds, 2.5);
  assert.deepEqual(
    rpo?.resources[0]?.methods.map(({ method, seconds, confidence }) => [method, seconds, confidence]),
    [
      ['canary', 1.2, 'measured'],
      ['lsn', 2.5, 'measured'],
      ['provider', null, 'unknown'],
    ],
  );
});

test('time spent waiting for people is shown apart and is part of the business RTO', () => {
  const world = { 'check-orders': () => done(60, {}, [figure('rpoSeconds', 'lsn', 9)]), ...seen };
  const run = reportOf(failoverWith({ world, people: { 'check-orders': { afterMs: 4_000, by: 'Li', why: 'go' } } }))
    .runs[0];
  assert.equal(run?.rto?.waitedForPeopleSeconds, 4);
  assert.ok((run.rto.business.seconds ?? 0) > 7);
  const step = run.steps.find((s) => s.id === 'check-orders');
  assert.deepEqual(step?.asking, [{ fromMs: failover.startAtMs + 60, toMs: failover.startAtMs + 4_060 }]);
  assert.deepEqual(
    step.decisions.map(({ by, why, what }) => ({ by, why, what })),
    [{ by: 'Li', why: 'go', what: 'approved' }],
  );
});

test('a planned run is judged from its start, an unplanned one from the fault', () => {
  const report = reportOf(...sampleInput().runs);
  assert.deepEqual(
    report.objectives.map(({ id, actualSeconds, method }) => [id, actualSeconds, method]),
    [
      ['rto', 3.176, 'business: t7 − t0'],
      ['rpo', 1.482, 'canary, largest of its methods'],
      ['rto', 0.637, 'technical: t7 − t3'],
      ['rpo', 0, 'canary, lsn, largest of its methods'],
    ],
  );
  assert.equal(report.runs[2]?.rto?.business.why, 't0 (fault) was not stamped');
});

test('clocks are told by number, with the distance to the one before in time', () => {
  const clocks = reportOf(failbackRun).runs[0]?.clocks ?? [];
  const told = clocks.filter((clock) => clock.atMs !== null).map((c) => [c.id, c.sinceFirstMs, c.sincePreviousMs]);
  assert.deepEqual(told.slice(-2), [
    ['t9', 8_101, 1_224],
    ['t10', 6_877, 6_240],
  ]);
  assert.equal(clocks.length, 11);
});

test('a skipped step says who skipped it and why, and leaves the rest of the run as it was', () => {
  const world = {
    ...failback.world,
    'rejoin-orders': () => ({ kind: 'failed', afterMs: 100, message: 'no space', retryable: false }) as const,
  };
  const orders = [
    { afterMs: 9_000, op: 'skip', stepId: 'rejoin-orders', by: 'Wang Fang', why: 'rebuilt by hand' } as const,
  ];
  const run = reportOf(play({ ...failback, world, orders })).runs[0];
  const step = run?.steps.find((s) => s.id === 'rejoin-orders');
  assert.equal(step?.status, 'skipped');
  assert.equal(step.note, 'by Wang Fang: rebuilt by hand');
  assert.deepEqual(
    step.decisions.map(({ what, by }) => [what, by]),
    [['skip', 'Wang Fang']],
  );
});

test('a run whose end never reached the ledger is told from its events', () => {
  const { final: _final, ...row } = failoverRun.run;
  const fromEvents = reportOf({ ...failoverRun, run: { ...row, final: null, sealHash: null } }).runs[0];
  const whole = reportOf(failoverRun).runs[0];
  assert.deepEqual(fromEvents?.clocks, whole?.clocks);
  assert.deepEqual(fromEvents?.rpo, whole?.rpo);
  assert.deepEqual(fromEvents?.steps, whole?.steps);
  assert.equal(fromEvents?.outcome, 'unprotected');
});

test('the same rows give the same report', () => {
  const input: ReportInput = sampleInput();
  assert.deepEqual(buildReport(input), buildReport(structuredClone(input)));
});

test('nothing at all still gives a report that does not pass', () => {
  const report = buildReport({ ...sampleInput(), runs: [], epochs: [], clients: null });
  assert.equal(report.verdict, 'unproven');
});
