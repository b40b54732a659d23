import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CreateBucketCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { startServer, stopServer } from '../../activities/drivers/postgres/server.ts';
import { progressOf, startProtection } from '../../worker/protection-start.ts';
import type { ArchiveWalOrder, RestoreDone } from '../../workflows/engine/protection.ts';
import { account, startCluster } from '../storage/support/dev-cluster.ts';
import { withClient } from '../support/ledger-postgres.ts';
import { anyPort } from '../support/ports.ts';
import { writeEstate } from './support/estate.ts';
import { madeVault, openWorld, samplePassword, type ProtectionWorld } from './support/world.ts';

const program = path.join(import.meta.dirname, '../../cli/main.ts');

/** As a shop does it: the receipt first, then the row that names it. */
async function sell(world: ProtectionWorld, client: S3Client, from: number, to: number): Promise<void> {
  for (let id = from; id <= to; id++) {
    await client.send(new PutObjectCommand({ Bucket: 'receipts', Key: `${id}.json`, Body: `{"order":${id}}` }));
    await withClient(world.ordersUrl, (sql) => sql.query('INSERT INTO orders VALUES ($1, $2)', [id, `${id}.json`]));
  }
}

test('database and objects are brought to one moment: every row has its receipt, and what dangles is named', async () => {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster());
  const world = stack.use(await openWorld());
  const client = cluster.client(0);
  await client.send(new CreateBucketCommand({ Bucket: 'receipts' }));
  Object.assign(process.env, {
    TEST_RECEIPTS_URLS: cluster.cluster.endpoints.join(','),
    TEST_RECEIPTS_USER: account.user,
    TEST_RECEIPTS_PASSWORD: account.password,
  });
  const env = {
    ...process.env,
    MUSTER_ESTATE: writeEstate(world.dir, { withReceipts: true }),
    MUSTER_LEDGER_URL: world.ledgerUrl,
    TEMPORAL_ADDRESS: world.temporal.address,
    NO_COLOR: '1',
  };
  const muster = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [program, ...args], { env })).stdout;

  await madeVault(world, 'vault');
  const archive: ArchiveWalOrder = { ...world.order, vault: world.vault('vault'), synchronous: false };
  const workflowId = 'archive-wal/shop/orders/vault';
  const start = { workflowType: 'archiveWal', workflowId, order: archive, service: 'shop', summary: 'WAL' };
  await startProtection(world.temporal.client, start);
  stack.defer(async () => void (await world.temporal.client.workflow.getHandle(workflowId).terminate()));
  await muster('backups', 'now', 'shop/orders');
  await sell(world, client, 100_001, 100_020);
  await client.send(new PutObjectCommand({ Bucket: 'receipts', Key: 'odd/%name.json', Body: '{}' }));
  await withClient(world.ordersUrl, (sql) => sql.query("INSERT INTO orders VALUES (100000, 'gone.json')"));
  await muster('backups', 'now', 'shop/receipts');
  await sell(world, client, 100_021, 100_030);
  // The end of WAL is known as soon as the archive has what came behind the listing.
  await withClient(world.ordersUrl, (sql) => sql.query('SELECT pg_switch_wal()'));
  const { rows } = await withClient(world.ordersUrl, (sql) =>
    sql.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn'),
  );
  const wanted = BigInt(`0x${rows[0]!.lsn.split('/')[1]!}`);
  for (;;) {
    const safe = (await progressOf(world.temporal.client, workflowId))?.detail['safeLsn'];
    if (typeof safe === 'string' && BigInt(`0x${safe.split('/')[1]!}`) >= wanted) break;
    await sleep(200);
  }

  const said = JSON.parse(await muster('recovery-points', 'shop', '--consistent', '--json')) as {
    point: { atMs: number; skewSeconds: number; parts: { resource: string; target: string }[] };
    dangling: Record<string, { count: number; of: number }>;
  };
  assert.deepEqual(
    said.point.parts.map(({ resource, target }) => [resource, target]),
    [
      ['receipts', 'point'],
      ['orders', 'time'],
    ],
  );
  assert.ok(said.point.skewSeconds < 30);
  assert.deepEqual([said.dangling['receipts']?.count, said.dangling['receipts']?.of], [0, 21]);

  const into = path.join(world.dir, 'together');
  const restored = await muster('recovery-points', 'shop', '--restore-into', into, '--by', 'Li', '--json');
  const done = JSON.parse(restored) as RestoreDone[];
  const [dangling] = done.flatMap((one) => one.dangling ?? []);
  assert.deepEqual(
    [dangling?.bucket, dangling?.rows, dangling?.objects, dangling?.missing, dangling?.unreferred],
    ['receipts', 21, 21, { count: 1, names: ['gone.json'] }, { count: 1, names: ['odd/%name.json'] }],
  );
  const receipts = new Set(readdirSync(path.join(into, 'receipts', 'receipts')));
  const port = await anyPort();
  const dataDir = path.join(into, 'orders');
  await startServer({ dataDir, settings: { host: '127.0.0.1', port } });
  stack.defer(async () => void (await stopServer(dataDir)));
  const url = `postgres://muster:${samplePassword}@127.0.0.1:${port}${new URL(world.ordersUrl).pathname}`;
  const orders = await withClient(url, (sql) =>
    sql.query<{ what: string }>("SELECT what FROM orders WHERE id > 100000 AND what LIKE '%.json'"),
  );
  assert.equal(orders.rows.length, 20);
  assert.deepEqual(
    orders.rows.filter(({ what }) => !receipts.has(what)),
    [],
  );

  // A bucket that was saved behind the rows should have what they refer to.
  await muster('backups', 'now', 'shop/orders');
  await muster('backups', 'now', 'shop/receipts');
  await assert.rejects(muster('backups', 'prove', 'shop/orders'), (err: { stdout?: string }) => {
    assert.match(
      err.stdout ?? '',
      /✗ references receipts  1 of 31 rows refer to objects that receipts does not have: gone\.json;/,
    );
    return true;
  });

  // Not the base backup of just now, from which no WAL leads back.
  const toTime = new Date(said.point.atMs).toISOString();
  const back = ['--into', path.join(world.dir, 'back'), '--to-time', toTime, '--json'];
  const earlier = JSON.parse(await muster('backups', 'restore', 'shop/orders', ...back)) as RestoreDone;
  assert.equal(earlier.pointId, done.find(({ into: where }) => where === dataDir)?.pointId);
  const never = ['--into', path.join(world.dir, 'never'), '--to-time', '2020-01-01T00:00:00Z'];
  await assert.rejects(muster('backups', 'restore', 'shop/orders', ...never), (err: { stderr?: string }) => {
    assert.match(err.stderr ?? '', /RECOVERY_TARGET_UNREACHABLE: .* every recovery point was taken after 2020-01-01/);
    return true;
  });
});
