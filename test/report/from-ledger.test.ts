import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { buildReport } from '../../console/report/build.ts';
import { reportInputFromLedger, type RunExtras } from '../../console/report/from-ledger.ts';
import { openLedger, type Ledger } from '../../worker/ledger/ledger.ts';
import { startLedgerPostgres, withClient, type LedgerPostgres } from '../support/ledger-postgres.ts';
import { sampleInput } from './sample.ts';

let server: LedgerPostgres;
let url: string;
let ledger: Ledger;
const sample = sampleInput();
const request = {
  runIds: sample.runs.map((run) => run.run.runId),
  generatedAtMs: sample.generatedAtMs,
  software: sample.software,
  clients: sample.clients,
  extras: Object.fromEntries(
    sample.runs.map(({ run, conflictSets, writeGap, truth }): [string, RunExtras] => [
      run.runId,
      { conflictSets, writeGap, truth },
    ]),
  ),
};
before(async () => {
  server = await startLedgerPostgres();
  url = await server.newDatabase();
  ledger = openLedger(url);
  await ledger.migrate();
  for (const { run, events, findings } of sample.runs) {
    await ledger.runOpened(run);
    await ledger.append(run.runId, events);
    await ledger.finishRun({ ...run.final!, plan: run.plan }, run.finishedAtMs ?? 0);
    for (const finding of findings) await ledger.addFinding(finding);
  }
  for (const { epoch, holder, runId } of sample.epochs)
    await ledger.takeEpoch({ service: 'shop', epoch, holder, runId });
});
after(async () => {
  await ledger.close();
  await server.stop();
});

test('a game day that went through the ledger gives the same report', async () => {
  const input = await reportInputFromLedger(ledger, request);
  const stored = buildReport(input);
  const pure = buildReport(sample);
  const withoutDatabaseTime = (report: typeof pure) => ({
    ...report,
    epochs: report.epochs.map((row) => ({ ...row, takenAtMs: 0 })),
  });
  assert.deepEqual(withoutDatabaseTime(stored), withoutDatabaseTime(pure));
  assert.equal(stored.verdict, 'passed');
});

test('a report over a record that somebody edited does not pass', async () => {
  await withClient(url, async (client) => {
    await client.query(`SET session_replication_role = replica`);
    await client.query(
      `UPDATE ledger.runs SET final = replace(final::text, '"waitedForPeopleMs":0', '"waitedForPeopleMs":9')::json`,
    );
  });
  const report = buildReport(await reportInputFromLedger(ledger, request));
  assert.equal(report.verdict, 'failed');
  assert.match(report.headline, /was changed at event 44/);
});

test('a run that the ledger does not know gives no report', async () => {
  await assert.rejects(reportInputFromLedger(ledger, { ...request, runIds: ['never'] }), { code: 'RUN_UNKNOWN' });
});
