/** What is exported of a long copy: what nobody knows is absent, never 0. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { EstateCopy } from '../../runbooks/copies-estate.ts';
import type { RunningCopy } from '../../worker/copies.ts';
import { copyFigures, endedCopies, type CopyFigures } from '../../worker/copy-figures.ts';
import { copyLooks } from '../../worker/copy-watch.ts';
import { noCopyCounts, type CopyBeat, type CopyCounts, type CopyView } from '../../workflows/engine/copying.ts';

const counts = (some: Partial<CopyCounts>): CopyCounts => ({ ...noCopyCounts(), ...some });
const rate = { objectsPerSecond: 2, bytesPerSecond: 1_024 };
const view: CopyView = {
  ...{ name: 'one', mode: 'do', phase: 'copying', leg: 'b', legs: 2, pieces: 3, startedBy: 'Li', startedAtMs: 0 },
  before: counts({ copied: 5, copiedBytes: 500, wanted: 6, wantedBytes: 600, failed: 1 }),
  counts: counts({ copied: 7, copiedBytes: 700, wanted: 9, wantedBytes: 900, failed: 1 }),
  toDo: { objects: 20, bytes: 4_096 },
  ...{ rate: { objectsPerSecond: 9, bytesPerSecond: 9 }, etaSeconds: 400, failure: null, named: [] },
};
const beat: CopyBeat = {
  ...{ leg: 1, stage: 'copying', cursor: null, named: [], rate, etaSeconds: 65, waits: null, atMs: 0 },
  counts: counts({ copied: 10, copiedBytes: 2_048, wanted: 12, wantedBytes: 3_000, kept: 2, failed: 1 }),
};
const nothing = {
  ...{ doneObjects: null, doneBytes: null, totalObjects: null, totalBytes: null, left: null, failed: null },
  ...{ objectsPerSecond: null, bytesPerSecond: null, etaSeconds: null },
};
const quiet = { objectsPerSecond: null, bytesPerSecond: null, etaSeconds: null };

const cases: { what: string; copy: Partial<RunningCopy> | null; figures: CopyFigures }[] = [
  { what: 'none under way', copy: null, figures: { ...nothing, running: false, paused: false } },
  { what: 'one that no worker answers for', copy: {}, figures: { ...nothing, running: true, paused: null } },
  {
    what: 'one that has told: what is done before and now, of both rules',
    copy: { view, now: beat },
    figures: {
      ...{ running: true, paused: false, doneObjects: 15, doneBytes: 2_548, totalObjects: 26, totalBytes: 4_596 },
      ...{ left: 2, failed: 2, objectsPerSecond: 2, bytesPerSecond: 1_024, etaSeconds: 65 },
    },
  },
  {
    what: 'one whose activity has told nothing for a while: neither a rate nor a time left',
    copy: { view },
    figures: {
      ...{ running: true, paused: false, doneObjects: 7, doneBytes: 700, totalObjects: 26, totalBytes: 4_596 },
      ...{ left: 0, failed: 1, ...quiet },
    },
  },
  {
    what: 'one that is paused, whatever its activity told before',
    copy: { view: { ...view, phase: 'paused' }, now: beat },
    figures: {
      ...{ running: true, paused: true, doneObjects: 7, doneBytes: 700, totalObjects: 26, totalBytes: 4_596 },
      ...{ left: 0, failed: 1, ...quiet },
    },
  },
  {
    what: 'one that is being measured: no total, and what is counted is not done',
    copy: { view: { ...view, phase: 'measuring', toDo: null }, now: { ...beat, stage: 'measuring' } },
    figures: {
      ...{ running: true, paused: false, doneObjects: 7, doneBytes: 700, totalObjects: null, totalBytes: null },
      ...{ left: 0, failed: 1, objectsPerSecond: 2, bytesPerSecond: 1_024, etaSeconds: null },
    },
  },
  {
    what: 'more found than was measured: the total grows',
    copy: {
      view,
      now: { ...beat, counts: counts({ copied: 30, wanted: 31, wantedBytes: 9_000, copiedBytes: 8_000 }) },
    },
    figures: {
      ...{ running: true, paused: false, doneObjects: 35, doneBytes: 8_500, totalObjects: 37, totalBytes: 9_500 },
      ...{ left: 0, failed: 1, objectsPerSecond: 2, bytesPerSecond: 1_024, etaSeconds: 65 },
    },
  },
];
for (const { what, copy, figures } of cases)
  test(what, () => {
    const whole = copy === null ? null : { view: null, now: null, attempt: 1, lastFailure: null, ...copy };
    assert.deepEqual(copyFigures(whole), figures);
  });

test('of runs that ended, the newest tells what was left, and the newest that was done when it last was', () => {
  const facts = { verdict: 'partial', kept: 1, archived: 2, changing: 3, failed: 4 };
  const partial = { outcome: 'partial' as const, endedAtMs: 9, facts };
  const done = { outcome: 'done' as const, endedAtMs: 5, facts: {} };
  const known = { lastSuccessMs: 5, endedMs: 9, left: 6, failed: 4, incomplete: true };
  assert.deepEqual(endedCopies([partial, done]), known);
  assert.deepEqual(endedCopies([partial]), { ...known, lastSuccessMs: null });
  const never = { lastSuccessMs: null, endedMs: null, left: null, failed: null, incomplete: null };
  assert.deepEqual(endedCopies([]), never);
  assert.deepEqual(endedCopies([done]), { ...never, lastSuccessMs: 5, endedMs: 5, incomplete: false });
});

test('where the ledger cannot be asked, what was known of it before is not said any more', async () => {
  const registry = new Registry();
  let isAway = false;
  const run = {
    ...{ id: 'r', kind: 'copy' as const, service: '', resource: 'one', vault: '', startedBy: 'Li', failure: null },
    ...{ startedAtMs: 0, endedAtMs: 5_000, outcome: 'done' as const, facts: {} },
  };
  const looks = copyLooks({
    ...{ estate: { copies: { one: {} as EstateCopy } }, registry },
    ledger: { protectionRuns: () => (isAway ? Promise.reject(new Error('away')) : Promise.resolve([run])) },
    client: () => Promise.reject(new Error('away')),
  });
  await looks.ended();
  assert.match(await registry.metrics(), /dr_copy_last_success_timestamp_seconds\{copy="one"\} 5/);
  isAway = true;
  await assert.rejects(looks.ended(), /away/);
  await assert.rejects(looks.now(), /away/);
  assert.doesNotMatch(await registry.metrics(), /copy="one"/);
});
