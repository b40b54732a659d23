import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildReport } from '../../console/report/build.ts';
import type { ReportRunInput, RunTruth } from '../../console/report/input.ts';
import type { Report } from '../../console/report/model.ts';
import { conflictSet, faultAtMs, sampleInput } from './sample.ts';

const sample = sampleInput();
const failoverRun = sample.runs[0]!;
const truth: RunTruth = { acknowledged: 100, lost: [], ackedByOldAfterPromotion: [], twoWritersMs: 0 };

function reportOf(...runs: ReportRunInput[]): Report {
  return buildReport({ ...sample, runs });
}

test('rows acknowledged by the old primary after the promotion are told, by clients or by the rows themselves', () => {
  const late = { table: 'orders', key: 'late', ackedAtMs: faultAtMs + 9_000, site: 'hangzhou' };
  const counted = reportOf({ ...failoverRun, truth: { ...truth, ackedByOldAfterPromotion: [late] } }).loss;
  assert.deepEqual(counted.afterPromotion, {
    method: 'clients',
    rows: [{ table: 'orders', key: 'late', atMs: faultAtMs + 9_000, site: 'hangzhou' }],
  });
  assert.equal(counted.notListed.length, 1);
  const rows = [...conflictSet.rows, { table: 'orders', key: 'late', row: {}, whenMs: faultAtMs + 9_000 }];
  const bySet = reportOf({ ...failoverRun, truth: null, conflictSets: [{ ...conflictSet, rows }] }).loss;
  assert.equal(bySet.afterPromotion?.method, 'conflict-set');
  assert.deepEqual(
    bySet.afterPromotion.rows.map((row) => row.key),
    ['late'],
  );
  const timeless = [{ table: 'orders', key: 'a', row: {}, whenMs: null }];
  assert.equal(
    reportOf({ ...failoverRun, truth: null, conflictSets: [{ ...conflictSet, rows: timeless }] }).loss.afterPromotion,
    null,
  );
});

const levels: { claimed: string | null; says: RegExp | null }[] = [
  {
    claimed: '5',
    says: /RTO of 3\.18 s keeps to “several minutes to 2 days”.*RPO of 1\.48 s keeps to “0 to 30 minutes”/,
  },
  { claimed: '6', says: /no number to be held against.*RPO of 1\.48 s exceeds “0”/ },
  { claimed: '9', says: /GB\/T 20988-2007 has no level 9/ },
  { claimed: null, says: null },
];
for (const { claimed, says } of levels) {
  test(`the level claimed (${claimed ?? 'none'}) is compared with the 2007 example, never proven`, () => {
    const { run } = failoverRun;
    const { level } = reportOf({ ...failoverRun, run: { ...run, plan: { ...run.plan, level: claimed } } });
    if (says === null) assert.equal(level, null);
    else assert.match(level?.sentence ?? '', says);
    if (level !== null) assert.match(level.standing, /informative annex of GB\/T 20988-2007, not a requirement/);
  });
}
