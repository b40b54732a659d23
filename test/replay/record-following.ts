/**
 * `node scripts/run.mjs test/replay/record-following.ts`: as record.ts, of work of protection that looks first who writes
 * and which vault answers, and of what a site's agent is to do. Takes ten minutes, for one agent never comes. Never
 * records over a fixture that is there.
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CancelledFailure, Context } from '@temporalio/activity';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { NativeConnection, Worker } from '@temporalio/worker';
import { workflowBundle } from '../../worker/bundle.ts';
import { controlQueue } from '../../worker/run-start.ts';
import type { PlanResource } from '../../workflows/engine/plan.ts';
import type { Aim, RecoveryPoint, Vault } from '../../workflows/engine/protection.ts';
import { eventually } from '../support/eventually.ts';
import { startTemporal } from '../support/temporal.ts';

const root = path.join(import.meta.dirname, '..', '..');

function vaultNamed(name: string, site: string): Vault {
  return {
    ...{ name, repository: `/backup/${name}`, password: 'env:P', site },
    ...{ verifyWithinSeconds: null, lockSeconds: null },
  };
}

const [vault, farVault] = [vaultNamed('vault', 'beijing'), vaultNamed('far-vault', 'hangzhou')];
const both = { hangzhou: {}, beijing: {} };

function orderOf(name: string, driver: string, sites: PlanResource['sites'] = both): object {
  const resource: PlanResource = { name, driver, shared: {}, sites };
  return { service: 'shop', site: 'hangzhou', vault, startedBy: 'record', resource };
}

const point: RecoveryPoint = {
  ...{ id: `far-vault/${'1'.repeat(64)}`, snapshotId: '1'.repeat(64), vault: 'far-vault', site: 'beijing' },
  ...{ service: 'shop', resource: 'orders', kind: 'postgres', status: 'complete' },
  ...{ startedAtMs: 1_000, takenAtMs: 2_000, endedAtMs: 2_000, sizeBytes: 1, addedBytes: 1, files: 1 },
  ...{ facts: {}, problems: [], problemCount: 0 },
};
const proof = {
  ...{ id: 'proof', pointId: point.id, service: 'shop', resource: 'orders', verdict: 'proven' },
  ...{ startedAtMs: 3_000, endedAtMs: 4_000, restoredToMs: 2_000, restoreSeconds: 1, failure: null, figures: {} },
  ...{ findings: [], startedBy: 'record' },
};

/** What `aim at writer` answers; each case says it before it begins. */
let aim: Aim = { kind: 'no-vault', writer: 'beijing', why: 'neither vault nor its copy answers' };
const moved: Aim = { kind: 'aimed', site: 'beijing', vault: farVault, insteadOf: 'vault' };

let streams = 0;
const activities: Record<string, (order: never) => Promise<unknown>> = {
  'aim at writer': async () => aim,
  'save backup': async () => point,
  'list points': async () => ({ points: [point], proofs: [] }),
  'prove restore': async () => proof,
  'archive wal': async () => {
    streams += 1;
    const { cancellationSignal, heartbeat } = Context.current();
    const beat = setInterval(() => heartbeat({}), 500);
    await new Promise<void>((resolve) => cancellationSignal.addEventListener('abort', () => resolve()));
    clearInterval(beat);
    throw new CancelledFailure('stopped');
  },
  'follow writer': async () => undefined,
  'resume schedules': async () => ['backup/shop/orders/vault'],
  'record protection': async () => undefined,
  'record finding': async () => undefined,
};

await using temporal = await startTemporal();
const { client } = temporal;
const connection = await NativeConnection.connect({ address: temporal.address });
const codePath = await workflowBundle(path.join(root, '.muster', 'cache'));
const workers = await Promise.all([
  Worker.create({ connection, taskQueue: controlQueue, activities, workflowBundle: { codePath } }),
  Worker.create({ connection, taskQueue: 'site-hangzhou', activities }),
]);
const running = Promise.all(workers.map((worker) => worker.run()));

async function keep(name: string): Promise<void> {
  const file = path.join(import.meta.dirname, 'histories', `${name}.json`);
  if (existsSync(file)) return;
  const history = historyToJSON(await client.workflow.getHandle(name).fetchHistory());
  // A fixture knows no machine: no place of the checkout, no host.
  await writeFile(file, history.replaceAll(root, '/app').replaceAll(/\d+@[\w.-]+/g, '1@test'));
  process.stdout.write(`${name}\n`);
}

async function once(name: string, type: string, order: unknown): Promise<void> {
  const options = { taskQueue: controlQueue, workflowId: name, args: [order] };
  await client.workflow.execute(type, options).catch(() => undefined);
  await keep(name);
}

await once('backup-without-vault', 'backup', orderOf('orders', 'postgres'));
aim = moved;
await once('backup-follows-writer', 'backup', orderOf('orders', 'postgres'));
await once('backup-stays-at-its-site', 'backup', orderOf('uploads', 'directory', { hangzhou: {} }));
const chosen = { point: { kind: 'newest' }, target: { kind: 'point' }, checks: {} };
await once('restore-test-follows-writer', 'restoreTest', { ...orderOf('orders', 'postgres'), ...chosen });
await once('settle-schedules-follows-writer', 'settleSchedules', {
  ...{ act: 'resume', service: 'shop', site: 'hangzhou', wholeSite: true, runId: 'failback-1', onlyOwn: false },
});

const wal = { taskQueue: controlQueue, workflowId: 'archive-wal-follows-writer' };
const archive = await client.workflow.start('archiveWal', {
  ...wal,
  args: [{ ...orderOf('orders', 'postgres'), synchronous: false }],
});
await eventually('WAL is received', async () => streams === 1);
aim = { kind: 'aimed', site: 'hangzhou', vault, insteadOf: null };
await archive.signal('pause');
await eventually('it is paused', async () => (await archive.query<{ phase: string }>('status')).phase === 'paused');
await archive.signal('resume');
await eventually('WAL is received elsewhere', async () => streams === 2);
await archive.cancel();
await archive.result().catch(() => undefined);
await keep(wal.workflowId);

aim = moved;
await once('backup-without-agent', 'backup', orderOf('uploads', 'directory'));
for (const worker of workers) worker.shutdown();
await running;
await connection.close();
