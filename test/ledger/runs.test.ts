import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openLedger, type Ledger } from '../../worker/ledger/ledger.ts';
import type { FindingRow } from '../../worker/ledger/types.ts';
import { startLedgerPostgres, withClient, type LedgerPostgres } from '../support/ledger-postgres.ts';
import { endedRun, opened, samplePlan, sampleRecords } from './fixtures.ts';

let server: LedgerPostgres;
let url: string;
let ledger: Ledger;
before(async () => {
  server = await startLedgerPostgres();
  url = await server.newDatabase();
  ledger = openLedger(url);
  await ledger.migrate();
});
after(async () => {
  await ledger.close();
  await server.stop();
});

test('a run is remembered with its whole plan, its records in order, and verifies before and after its end', async () => {
  await ledger.runOpened(opened('whole', { chainId: 'game-day-1', scenario: 'site-loss' }));
  await ledger.append('whole', sampleRecords(3));
  const head = await ledger.append('whole', sampleRecords(4, 4));
  assert.deepEqual(await ledger.verifyChain('whole'), { ok: true, events: 7, head: head.hash, sealed: false });
  await ledger.finishRun(endedRun('whole', 7), 1_800_000_009_000);
  const row = await ledger.getRun('whole');
  assert.deepEqual(row.plan, samplePlan());
  assert.equal(row.outcome, 'unprotected');
  assert.equal(row.scenario, 'site-loss');
  assert.deepEqual(await ledger.verifyChain('whole'), { ok: true, events: 7, head: row.sealHash, sealed: true });
  const events = await ledger.events('whole');
  assert.deepEqual(events[2]?.data, sampleRecords(3)[2]?.data);
  assert.equal(events[1]?.atMs, 1_800_000_000_012.5);
});

test('records sent again, in whole, in part or out of order, are accepted once', async () => {
  await ledger.runOpened(opened('again'));
  await ledger.runOpened(opened('again'));
  await ledger.append('again', sampleRecords(3));
  await ledger.append('again', sampleRecords(3));
  const [, second, third, fourth] = sampleRecords(4);
  await ledger.append('again', [fourth!, third!, second!, fourth!]);
  assert.equal((await ledger.events('again')).length, 4);
  await ledger.finishRun(endedRun('again', 4), 1);
  await ledger.finishRun(endedRun('again', 4), 1);
  await ledger.append('again', sampleRecords(4));
  assert.equal((await ledger.verifyChain('again')).ok, true);
});

test('many writers of the same records leave one chain', async () => {
  await ledger.runOpened(opened('many'));
  await Promise.all(Array.from({ length: 8 }, () => ledger.append('many', sampleRecords(20))));
  assert.equal((await ledger.events('many')).length, 20);
  assert.equal((await ledger.verifyChain('many')).ok, true);
});

const records = sampleRecords(3);
const refused: { name: string; send: (id: string) => Promise<unknown>; message: RegExp }[] = [
  {
    name: 'another content under a used number',
    send: (id) => ledger.append(id, [{ ...records[1]!, what: 'step-done' }]),
    message: /another record 2/,
  },
  {
    name: 'two contents under one number in one batch',
    send: (id) => ledger.append(id, [...sampleRecords(4).slice(3), { ...sampleRecords(4)[3]!, what: 'x' }]),
    message: /record 5 is missing, 4 was sent/,
  },
  { name: 'a gap', send: (id) => ledger.append(id, sampleRecords(1, 5)), message: /record 4 is missing/ },
  {
    name: 'the same id with another plan',
    send: (id) => ledger.runOpened(opened(id, { plan: samplePlan({ epoch: 3 }) })),
    message: /another plan/,
  },
  { name: 'an end before all records', send: (id) => ledger.finishRun(endedRun(id, 4), 1), message: /3 of 4 records/ },
  {
    name: 'an end without an outcome',
    send: (id) => ledger.finishRun(endedRun(id, 3, { outcome: null }), 1),
    message: /no outcome/,
  },
  {
    name: 'the end of a run of another plan',
    send: (id) => ledger.finishRun(endedRun(id, 3, { plan: samplePlan({ hash: 'b'.repeat(64) }) }), 1),
    message: /another plan/,
  },
];
for (const { name, send, message } of refused) {
  test(`refused, and nothing is changed: ${name}`, async () => {
    const id = `refused ${name}`;
    await ledger.runOpened(opened(id));
    await ledger.append(id, records);
    await assert.rejects(send(id), { code: 'LEDGER_CONFLICT', message });
    assert.equal((await ledger.events(id)).length, 3);
    assert.equal((await ledger.verifyChain(id)).ok, true);
  });
}

test('a sealed run takes no more events and no other end', async () => {
  await ledger.runOpened(opened('sealed'));
  await ledger.append('sealed', sampleRecords(2));
  await ledger.finishRun(endedRun('sealed', 2), 1);
  await assert.rejects(ledger.append('sealed', sampleRecords(3)), { code: 'LEDGER_CONFLICT' });
  await assert.rejects(ledger.finishRun(endedRun('sealed', 2, { outcome: 'protected' }), 1), {
    code: 'LEDGER_CONFLICT',
  });
});

test('a run nobody opened is unknown', async () => {
  const questions = [
    () => ledger.getRun('none'),
    () => ledger.append('none', sampleRecords(1)),
    () => ledger.verifyChain('none'),
  ];
  for (const ask of questions)
    await assert.rejects(ask, { code: 'RUN_UNKNOWN', message: 'run none is not in the ledger' });
});

const forbidden = [
  `UPDATE ledger.events SET what = 'x' WHERE run_id = 'kept'`,
  `DELETE FROM ledger.events WHERE run_id = 'kept'`,
  `TRUNCATE ledger.events`,
  `DELETE FROM ledger.runs`,
  `UPDATE ledger.runs SET plan = '{}' WHERE id = 'kept'`,
  `UPDATE ledger.runs SET head_seq = 1 WHERE id = 'kept'`,
  `UPDATE ledger.runs SET final = '{}' WHERE id = 'kept'`,
  `UPDATE ledger.plan_versions SET service = 'x'`,
];
test('the database itself refuses to change or drop what was written', async () => {
  await ledger.runOpened(opened('kept'));
  await ledger.append('kept', sampleRecords(2));
  await ledger.finishRun(endedRun('kept', 2), 1);
  for (const statement of forbidden)
    await assert.rejects(
      withClient(url, (client) => client.query(statement)),
      { code: '23001' },
      statement,
    );
});

test('what a superuser forces past the triggers is found by verification', async () => {
  await ledger.runOpened(opened('forced'));
  await ledger.append('forced', sampleRecords(5));
  await withClient(url, async (client) => {
    await client.query(`SET session_replication_role = replica`);
    await client.query(`UPDATE ledger.events SET at_ms = at_ms - 1000 WHERE run_id = 'forced' AND seq = 3`);
  });
  assert.deepEqual(await ledger.verifyChain('forced'), {
    ok: false,
    seq: 3,
    why: 'the content is not what was hashed',
  });
});

test('runs are listed newest first, by service and by chain', async () => {
  const plan = samplePlan({ service: 'listed', hash: 'c'.repeat(64) });
  for (const [index, id] of ['first', 'second', 'third'].entries())
    await ledger.runOpened(opened(id, { plan, openedAtMs: index, chainId: id === 'second' ? null : 'chain-listed' }));
  const ids = async (filter: Parameters<Ledger['listRuns']>[0]) =>
    (await ledger.listRuns(filter)).map((run) => run.runId);
  assert.deepEqual(await ids({ service: 'listed' }), ['third', 'second', 'first']);
  assert.deepEqual(await ids({ chainId: 'chain-listed' }), ['third', 'first']);
  assert.deepEqual(await ids({ service: 'listed', limit: 1 }), ['third']);
});

test('figures are kept once, and one without a number is unknown', async () => {
  const figure = {
    service: 'shop',
    runId: 'r',
    resource: 'orders',
    site: null,
    name: 'rpoSeconds',
    unit: 's',
    takenAtMs: 5,
  };
  const batch = [
    { ...figure, method: 'canary', value: 1.25, confidence: 'measured' as const },
    { ...figure, method: 'lsn', value: NaN, confidence: 'measured' as const },
  ];
  await ledger.addMeasurements(batch);
  await ledger.addMeasurements(batch);
  const kept = await ledger.measurementsOf('r');
  assert.deepEqual(kept[0], batch[0]);
  assert.deepEqual(kept[1], { ...batch[1], value: null, confidence: 'unknown' });
  assert.equal(kept.length, 2);
  assert.deepEqual(await ledger.samplesOf('shop', 5, 5), kept);
  assert.deepEqual(await ledger.samplesOf('shop', 6, 9), []);
});

test('approvals and findings are kept once', async () => {
  await ledger.runOpened(opened('people'));
  const approval = {
    runId: 'people',
    stepId: 'commit',
    answer: 'approve',
    by: 'li',
    why: 'seen\u0000',
    atMs: 1,
  } as const;
  const finding = {
    service: 'shop',
    runId: 'people',
    stepId: null,
    severity: 'warning',
    what: 'no rewind',
    atMs: 2,
  } as const;
  for (let i = 0; i < 2; i++) {
    await ledger.addApproval(approval);
    await ledger.addFinding(finding);
  }
  assert.deepEqual(await ledger.approvalsOf('people'), [{ ...approval, why: 'seen\ufffd' }]);
  assert.deepEqual(await ledger.findingsOf('people'), [finding]);
});

test('every frozen plan is remembered as it was first seen', async () => {
  const plan = samplePlan({ service: 'versions', hash: 'd'.repeat(64) });
  await ledger.addPlanVersion({ plan, estateHash: 'x', firstSeenAtMs: 7 });
  await ledger.runOpened(opened('version-run', { plan, openedAtMs: 9 }));
  assert.deepEqual(await ledger.planVersionsOf('versions'), [{ plan, estateHash: 'x', firstSeenAtMs: 7 }]);
});

test('findings of all runs are one list, newest first: those of a service and of vaults, from a moment on', async () => {
  const before = (await ledger.findings()).length;
  const finding = (what: string, atMs: number, service = 'listed'): FindingRow => ({
    ...{ service, runId: `run-${what}`, stepId: null, severity: 'critical', what, atMs },
  });
  const all = [finding('old', 1_000), finding('new', 3_000), finding('vault', 2_000, ''), finding('else', 2_500, 'x')];
  for (const one of [...all, ...all]) await ledger.addFinding(one);
  const names = async (filter: Parameters<Ledger['findings']>[0]): Promise<string[]> =>
    (await ledger.findings(filter)).map(({ what }) => what);
  assert.deepEqual(await names({ service: 'listed' }), ['new', 'vault', 'old']);
  assert.deepEqual(await names({ service: 'listed', sinceMs: 2_000 }), ['new', 'vault']);
  assert.deepEqual(await names({ service: 'listed', limit: 1 }), ['new']);
  assert.equal((await ledger.findings()).length, before + 4, 'none of them twice');
});
