import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openLedger, type Ledger } from '../../worker/ledger/ledger.ts';
import type { LostObject } from '../../worker/ledger/replication.ts';
import type { ReplicationStatus } from '../../workflows/engine/replication.ts';
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
