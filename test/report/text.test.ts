import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildReport } from '../../console/report/build.ts';
import { renderText } from '../../console/report/render-text.ts';
import { sampleInput } from './sample.ts';

const sample = sampleInput();

test('the headline says it all in a dozen lines', () => {
  assert.equal(
    renderText(buildReport(sample)),
    `✓ PASSED  shop, slow-link, hangzhou to beijing  2026-11-20 09:14:20 UTC
  Clients of shop were served by beijing 3.18 s after the fault. 94 acknowledged writes were lost,
  every one of them listed. The way home to hangzhou cost clients 313 ms.

  RTO failover                3.18 s   objective 30 s: met, measured
  RPO failover                1.48 s   objective 5 s: met, measured
  RTO failback                637 ms   objective 30 s: met, measured
  RPO failback                   0 s   objective 5 s: met, measured
  writes lost                     94   of 16,680 acknowledged, every one listed
  write gap failover          3.07 s   as clients saw it
  write gap failback          313 ms   as clients saw it
  protection                     yes   replication runs again
  truth agrees                   yes   8 checks
  record whole                   yes   115 events of 3 runs
`,
  );
});

test('what is not known, not protected or not whole is said as plainly', () => {
  const [run] = sample.runs;
  const broken = { ok: false, seq: 7, why: 'the content is not what was hashed' } as const;
  const state = { ...run!.run.final!, clocks: {}, measurements: [] };
  const text = renderText(
    buildReport({ ...sample, runs: [{ ...run!, chain: broken, truth: null, run: { ...run!.run, final: state } }] }),
  );
  assert.match(text, /^✗ FAILED/);
  assert.match(text, /RTO failover +— +objective 30 s: unknown$/m);
  assert.match(text, /RPO failover +— +objective 5 s: unknown$/m);
  assert.match(text, /protection +no +nothing follows the new writer yet$/m);
  assert.match(text, /record whole +no +failover-shop-\S+: the content is not what was hashed$/m);
});

test('colours are for terminals only and change no letter', () => {
  const report = buildReport(sample);
  const coloured = renderText(report, { colour: true });
  assert.notEqual(coloured, renderText(report));
  assert.equal(coloured.replace(/\x1b\[\d+m/g, ''), renderText(report));
});
