import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { writeEvidence } from '../../activities/drivers/bucket/replication/evidence.ts';
import { replicationDir } from '../../activities/drivers/bucket/replication/home.ts';
import { writeStatus } from '../../activities/drivers/bucket/replication/status.ts';
import { openLedger, type Ledger } from '../../worker/ledger/ledger.ts';
import type { LostObject } from '../../worker/ledger/replication.ts';
import type { FindingRow } from '../../worker/ledger/types.ts';
import { recordLosses } from '../../worker/record-losses.ts';
import { keepReplicationHistory } from '../../worker/replication-history.ts';
import { newRun } from '../../workflows/engine/advance.ts';
import type { JsonObject, Plan } from '../../workflows/engine/plan.ts';
import type { ReplicationStatus } from '../../workflows/engine/replication.ts';
import { planOf, step } from '../support/plan.ts';
import { samplePlan } from './fixtures.ts';
import { startLedgerPostgres, withClient, type LedgerPostgres } from '../support/ledger-postgres.ts';

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
  await ledger?.close();
  await server?.stop();
});

const known: ReplicationStatus = {
  ...{ service: 'shop', resource: 'receipts', from: 'hangzhou', to: 'beijing', epoch: 3, phase: 'following' },
  ...{ atMs: 1_000, oldestPendingAgeSeconds: 0.4, backlogObjects: 2, backlogBytes: 250, verifiedWatermarkMs: 600 },
  ...{ drainRate: null, etaSeconds: 1, failed: 0, foreign: 0, cursor: 7, why: null },
};
const unknown: ReplicationStatus = {
  ...known,
  ...{ atMs: 2_000, oldestPendingAgeSeconds: null, backlogObjects: null, backlogBytes: null, why: 'the log is silent' },
};

test('figures come back in their order, unknown ones as unknown, and none of them twice', async () => {
  await ledger.addReplicationFigures([unknown, known]);
  await ledger.addReplicationFigures([known]);
  const found = await ledger.replicationFiguresOf(known, { fromMs: 0, toMs: 5_000 });
  assert.deepEqual(
    found.map(({ atMs, oldestPendingAgeSeconds, backlogObjects, why }) => [
      ...[atMs, oldestPendingAgeSeconds, backlogObjects, why],
    ]),
    [
      [1_000, 0.4, 2, null],
      [2_000, null, null, 'the log is silent'],
    ],
  );
  assert.deepEqual(await ledger.replicationFiguresOf(known, { fromMs: 3_000, toMs: 5_000 }), []);
});

test('of old figures the worst of each quarter of an hour stays, and an unknown one is the worst', async () => {
  const hour = 3_600_000;
  const at = (atMs: number, oldestPendingAgeSeconds: number | null): ReplicationStatus => ({
    ...{ ...known, resource: 'thinned', atMs, oldestPendingAgeSeconds },
  });
  const old = [at(hour, 1), at(hour + 1, 9), at(hour + 2, 3), at(2 * hour, 5), at(2 * hour + 1, null)];
  const young = [at(10 * hour, 1), at(10 * hour + 1, 2)];
  await ledger.addReplicationFigures([...old, ...young]);
  for (let times = 0; times < 2; times++) await ledger.thinReplicationFigures(10 * hour);
  const found = await ledger.replicationFiguresOf(at(0, 0), { fromMs: 0, toMs: 11 * hour });
  assert.deepEqual(
    found.map(({ atMs, oldestPendingAgeSeconds }) => [atMs, oldestPendingAgeSeconds]),
    [[hour + 1, 9], [2 * hour + 1, null], ...young.map((one) => [one.atMs, one.oldestPendingAgeSeconds])],
  );
  const others = await ledger.replicationFiguresOf(known, { fromMs: 0, toMs: 5_000 });
  assert.deepEqual(
    others.map(({ atMs }) => atMs),
    [2_000],
    'each resource by itself',
  );
});

test('what a replication tells is remembered by the moment, also what it told while the ledger was away', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'muster-history-'));
  const order = { service: 'shop', resource: { name: 'letters' } };
  writeStatus(replicationDir(dir, 'shop', 'letters'), { ...known, resource: 'letters', atMs: 10_000 });
  const away = openLedger('postgres://nobody@127.0.0.1:9/nothing');
  let there = away;
  const through: Pick<Ledger, 'addReplicationFigures' | 'thinReplicationFigures'> = {
    addReplicationFigures: (batch) => there.addReplicationFigures(batch),
    thinReplicationFigures: (beforeMs) => there.thinReplicationFigures(beforeMs),
  };
  const remember = keepReplicationHistory({ replications: [{ order }] } as never, dir, through);
  await assert.rejects(remember(11_000));
  there = ledger;
  await remember(12_000);
  // It has told nothing for a minute: unknown, at this moment.
  await remember(70_000);
  const found = await ledger.replicationFiguresOf(
    { service: 'shop', resource: 'letters' },
    { fromMs: 0, toMs: 90_000 },
  );
  assert.deepEqual(
    found.map(({ atMs, oldestPendingAgeSeconds }) => [atMs, oldestPendingAgeSeconds]),
    [
      [11_000, 0.4],
      [12_000, 0.4],
      [70_000, null],
    ],
  );
  await away.close();
  await rm(dir, { recursive: true });
});

test('the whole list that a freeze wrote is remembered; one that is not what the run wrote is a finding', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'muster-losses-'));
  const header = { kind: 'losses', frozenAtMs: 5, epoch: 2, observedUpToMs: 4, complete: false, writes: 1_500 };
  const lost = Array.from({ length: 1_500 }, (_, i) => {
    const write = { key: `k${i}`, op: 'put', writtenAtMs: i, sizeBytes: 10, certainty: 'lost' } as const;
    return { ...write, version: 'v', sourceEtag: 'e' };
  });
  const { file: lostFile, sha256 } = await writeEvidence(dir, 'lost.jsonl', [header, ...lost]);
  const findings: FindingRow[] = [];
  const keeping = {
    addLostObjects: (of: { runId: string; resource: string }, batch: readonly LostObject[]) =>
      ledger.addLostObjects(of, batch),
    addFinding: async (finding: FindingRow) => void findings.push(finding),
  };
  const plan = planOf([step('observe-receipts', { verb: 'observe' })]);
  const ended = (evidence: JsonObject): Parameters<typeof recordLosses>[1] => {
    const run = newRun('failover-2', plan);
    const state = run.steps['observe-receipts']!;
    return { ...run, steps: { 'observe-receipts': { ...state, evidence } } };
  };
  for (let times = 0; times < 2; times++) await recordLosses(keeping, ended({ lostFile, lostSha256: sha256 }), 9);
  const kept = await ledger.lostObjectsOf('failover-2', 'receipts');
  assert.deepEqual(
    kept,
    lost.map(({ version: _version, sourceEtag: _etag, ...one }) => one),
  );
  assert.equal(findings.length, 0);
  await recordLosses(keeping, ended({ lostFile, lostSha256: '0' }), 9);
  await recordLosses(keeping, ended({ lostFile: path.join(dir, 'elsewhere'), lostSha256: sha256 }), 9);
  assert.deepEqual(
    findings.map(({ what }) => what.replaceAll(dir, 'DIR')),
    [
      'which objects of receipts were lost is not all in the ledger: DIR/evidence/lost.jsonl is not the list that the run wrote',
      "which objects of receipts were lost is not all in the ledger: ENOENT: no such file or directory, open 'DIR/elsewhere'",
    ],
  );
  await rm(dir, { recursive: true });
});

test('lost objects are kept for good, whatever they are called', async () => {
  const lost: LostObject[] = [
    { key: 'a', op: 'put', writtenAtMs: 1, sizeBytes: 10, certainty: 'lost' },
    { key: 'odd \u{1f600} "key"', op: 'delete', writtenAtMs: 2, sizeBytes: 0, certainty: 'unproved' },
  ];
  const of = { runId: 'failover-1', resource: 'receipts' };
  await ledger.addLostObjects(of, lost);
  await ledger.addLostObjects(of, lost);
  assert.deepEqual(await ledger.lostObjectsOf('failover-1', 'receipts'), lost);
  assert.deepEqual(await ledger.lostObjectsOf('failover-1', 'orders'), []);
  await assert.rejects(
    withClient(url, (client) => client.query('DELETE FROM ledger.lost_objects')),
    { code: '23001' },
  );
});

test('the command names what was lost: of the newest failover, or of the run that is asked for', async () => {
  const muster = async (...args: string[]): Promise<string> => {
    const env = { ...process.env, MUSTER_LEDGER_URL: url, NO_COLOR: '1' };
    const program = path.join(import.meta.dirname, '../../cli/main.ts');
    return promisify(execFile)(process.execPath, [program, 'replicate', 'lost', ...args], { env }).then(
      ({ stdout }) => stdout,
      (err: { stderr: string }) => err.stderr,
    );
  };
  assert.match(await muster(), /RUN_UNKNOWN: there was no failover yet/);
  const opened = (runId: string, openedAtMs: number, kind: Plan['kind']): Promise<void> => {
    const plan = { ...samplePlan(), kind, resources: [{ name: 'receipts', driver: 'bucket', shared: {}, sites: {} }] };
    return ledger.runOpened({ runId, plan: { ...plan, hash: runId }, estateHash: 'e', software: 't', openedAtMs });
  };
  for (const [at, kind] of (['failover', 'failover', 'reprotect'] as const).entries()) {
    await opened(`run-${at}`, 1_000 + at, kind);
    const lost = { key: `of-${at}`, op: 'put', writtenAtMs: 5, sizeBytes: 10, certainty: 'lost' } as const;
    await ledger.addLostObjects({ runId: `run-${at}`, resource: 'receipts' }, [lost]);
  }
  assert.match(
    await muster(),
    /^1 object lost in run-1, as its freeze found\n {2}receipts\/of-1 {2}put of .*, 10 B, lost\n$/,
  );
  assert.match(await muster('run-0'), /receipts\/of-0/);
});
