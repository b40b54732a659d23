import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openLedger, type Ledger } from '../../worker/ledger/ledger.ts';
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
  await ledger.close();
  await server.stop();
});

test('an epoch only rises, and the same claim again is the same claim', async () => {
  assert.equal(await ledger.currentEpoch('rises'), null);
  assert.equal(await ledger.nextEpoch('rises'), 1);
  const first = await ledger.takeEpoch({ service: 'rises', epoch: 1, holder: 'hangzhou', runId: null });
  assert.deepEqual(await ledger.takeEpoch({ service: 'rises', epoch: 1, holder: 'hangzhou', runId: null }), first);
  await ledger.takeEpoch({ service: 'rises', epoch: 4, holder: 'beijing', runId: 'failover-1' });
  for (const [epoch, holder] of [
    [1, 'hangzhou'],
    [4, 'hangzhou'],
    [3, 'beijing'],
  ] as const)
    await assert.rejects(ledger.takeEpoch({ service: 'rises', epoch, holder, runId: null }), { code: 'EPOCH_STALE' });
  assert.equal((await ledger.currentEpoch('rises'))?.holder, 'beijing');
  assert.equal(await ledger.nextEpoch('rises'), 5);
  assert.deepEqual(
    (await ledger.epochsOf('rises')).map((row) => row.epoch),
    [1, 4],
  );
  await assert.rejects(
    withClient(url, (client) => client.query(`UPDATE ledger.epochs SET holder = 'x'`)),
    { code: '23001' },
  );
});

test('of many that claim one epoch, one gets it; whatever the order, epochs were taken upwards', async () => {
  const claims = Array.from({ length: 12 }, (_, i) => ({
    service: 'raced',
    epoch: 1 + (i % 4),
    holder: `site-${i}`,
    runId: null,
  }));
  const ends = await Promise.allSettled(claims.map((claim) => ledger.takeEpoch(claim)));
  const won = ends.filter((end) => end.status === 'fulfilled').length;
  const rows = await ledger.epochsOf('raced');
  assert.equal(rows.length, won);
  assert.ok(won >= 1 && won <= 4);
  for (const [i, row] of rows.entries()) assert.ok(i === 0 || row.takenAtMs >= rows[i - 1]!.takenAtMs);
});

const owner = { service: 'leased', owner: 'worker-a', ttlMs: 60_000 };
const other = { ...owner, owner: 'worker-b' };

test('a lease has one owner, and its epoch rises with each taking', async () => {
  const first = await ledger.acquireLease(owner);
  assert.equal(first.kind, 'held');
  assert.equal(first.epoch, 1);
  assert.deepEqual(await ledger.acquireLease(other), {
    kind: 'refused',
    why: 'other-owner',
    owner: 'worker-a',
    epoch: 1,
  });
  const again = await ledger.acquireLease(owner);
  assert.deepEqual([again.kind, again.epoch], ['held', 2]);
  assert.deepEqual(await ledger.renewLease({ ...owner, epoch: 1 }), {
    kind: 'refused',
    why: 'stale-epoch',
    owner: 'worker-a',
    epoch: 2,
  });
  const renewed = await ledger.renewLease({ ...owner, epoch: 2 });
  assert.ok(renewed.kind === 'held' && renewed.remainingMs > 55_000 && renewed.remainingMs <= 60_000);
  assert.equal(await ledger.releaseLease({ ...owner, epoch: 1 }), false);
  assert.equal(await ledger.releaseLease({ ...owner, epoch: 2 }), true);
  const next = await ledger.acquireLease(other);
  assert.deepEqual([next.kind, next.epoch], ['held', 3]);
  assert.deepEqual(await ledger.renewLease({ ...owner, epoch: 2 }), {
    kind: 'refused',
    why: 'other-owner',
    owner: 'worker-b',
    epoch: 3,
  });
});

test('a lease that ran out by the database clock must be taken anew', async () => {
  const lease = { service: 'expired', owner: 'worker-a', ttlMs: 1 };
  await ledger.acquireLease(lease);
  await withClient(url, (client) => client.query('SELECT pg_sleep(0.01)'));
  assert.deepEqual(await ledger.renewLease({ ...lease, epoch: 1 }), {
    kind: 'refused',
    why: 'expired',
    owner: 'worker-a',
    epoch: 1,
  });
  const taken = await ledger.acquireLease({ ...lease, owner: 'worker-b' });
  assert.deepEqual([taken.kind, taken.epoch], ['held', 2]);
});

test('a lease that nobody ever took cannot be renewed', async () => {
  assert.deepEqual(await ledger.renewLease({ ...owner, service: 'never', epoch: 1 }), {
    kind: 'refused',
    why: 'not-held',
    owner: null,
    epoch: 0,
  });
});

test('of many that want a free lease, one gets it', async () => {
  const answers = await Promise.all(
    Array.from({ length: 4 }, (_, i) =>
      ledger.acquireLease({ service: 'wanted', owner: `worker-${i}`, ttlMs: 60_000 }),
    ),
  );
  assert.equal(answers.filter((answer) => answer.kind === 'held').length, 1);
});
