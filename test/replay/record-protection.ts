/**
 * `node scripts/run.mjs test/replay/record-protection.ts`: as record.ts, of the workflows of protection. Never records
 * over a fixture that is there.
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { NativeConnection, Worker } from '@temporalio/worker';
import { workflowBundle } from '../../worker/bundle.ts';
import { controlQueue } from '../../worker/run-start.ts';
import type { RecoveryPoint, Vault } from '../../workflows/engine/protection.ts';
import { eventually } from '../support/eventually.ts';
import { startTemporal } from '../support/temporal.ts';

const vault: Vault = {
  ...{ name: 'vault', repository: '/backup/vault', password: 'env:P', site: 'beijing' },
  ...{ verifyWithinSeconds: null, lockSeconds: null },
};
const of = {
  ...{ service: 'shop', site: 'hangzhou', vault, startedBy: 'record' },
  resource: { name: 'orders', driver: 'postgres', shared: {}, sites: {} },
};
const whole = { vault, startedBy: 'record' };
const point: RecoveryPoint = {
  ...{ id: `vault/${'1'.repeat(64)}`, snapshotId: '1'.repeat(64), vault: 'vault', site: 'hangzhou' },
  ...{ service: 'shop', resource: 'orders', kind: 'postgres', status: 'complete' },
  ...{ startedAtMs: 1_000, takenAtMs: 2_000, endedAtMs: 2_000, sizeBytes: 1, addedBytes: 1, files: 1 },
  ...{ facts: {}, problems: [], problemCount: 0 },
};
const proof = {
  ...{ id: 'proof', pointId: point.id, service: 'shop', resource: 'orders', verdict: 'failed' },
  ...{ startedAtMs: 3_000, endedAtMs: 4_000, restoredToMs: 2_000, restoreSeconds: 1, failure: null, figures: {} },
  ...{ findings: [{ check: 'rows', subject: 'orders', verdict: 'failed', detail: 'none' }], startedBy: 'record' },
};
const figures = {
  ...{ service: 'shop', resource: 'receipts', from: 'hangzhou', to: 'beijing', epoch: 1, phase: 'stopped' },
  ...{ oldestPendingAgeSeconds: null, backlogObjects: null, backlogBytes: null, etaSeconds: null, why: 'stopped' },
  ...{ verifiedWatermarkMs: 1_000, failed: 0, atMs: 2_000 },
};

let work = 0;
/** Like what streams or copies until it is told to stop. */
async function untilStopped(): Promise<unknown> {
  work++;
  const { cancellationSignal, heartbeat } = Context.current();
  const beat = setInterval(() => heartbeat({}), 500);
  await new Promise<void>((resolve) => cancellationSignal.addEventListener('abort', () => resolve()));
  clearInterval(beat);
  throw new CancelledFailure('stopped');
}

let isFirstReplication = true;
const activities: Record<string, (order: never) => Promise<unknown>> = {
  'save backup': async ({ site }: { site: string }) => {
    if (site === 'nowhere')
      throw ApplicationFailure.create({ type: 'TARGET_FULL', message: 'the vault is full', nonRetryable: true });
    return point;
  },
  'list points': async () => ({ points: [point], proofs: [] }),
  'restore point': async () => ({
    ...{ pointId: point.id, into: '/restored', restoredToMs: 2_000, restoredBytes: 1, seconds: 1, note: '' },
  }),
  'prove restore': async () => proof,
  'prune vault': async () => ({ removed: [point.id], kept: 1, freedBytes: 1, walRemoved: 0, dryRun: false }),
  'verify vault': async () => ({
    ...{ kind: 'damaged', snapshots: 1, packs: { count: 1, bytes: 1, read: 1, bytesRead: 1 } },
    ...{ verified: { never: 0, oldestAgeSeconds: 1 }, oldestUnverifiedSeconds: 1, problems: ['a pack'] },
    ...{ problemCount: 1, hurt: ['a file'], hurtCount: 1 },
  }),
  'mirror vault': async () => ({ files: 1, bytes: 1, removed: 0, heldBack: 1, wal: 0 }),
  'renew locks': async () => ({ kind: 'renewed', files: 1, renewed: 1, missing: [], untilMs: 5_000 }),
  'archive wal': untilStopped,
  'replicate objects': async () => {
    if (!isFirstReplication) return untilStopped();
    isFirstReplication = false;
    return figures;
  },
  'record protection': async () => {},
  'record finding': async () => {},
};

await using temporal = await startTemporal();
const { client } = temporal;
const connection = await NativeConnection.connect({ address: temporal.address });
const codePath = await workflowBundle(path.join(import.meta.dirname, '..', '..', '.muster', 'cache'));
const worker = await Worker.create({ connection, taskQueue: controlQueue, activities, workflowBundle: { codePath } });
const running = worker.run();

async function keep(name: string, workflowId: string): Promise<void> {
  const file = path.join(import.meta.dirname, 'histories', `${name}.json`);
  if (existsSync(file)) return;
  const root = path.join(import.meta.dirname, '..', '..');
  const history = historyToJSON(await client.workflow.getHandle(workflowId).fetchHistory());
  // A fixture knows no machine: no place of the checkout, no host.
  await writeFile(file, history.replaceAll(root, '/app').replaceAll(/\d+@[\w.-]+/g, '1@test'));
  process.stdout.write(`${name}\n`);
}

async function once(name: string, type: string, order: unknown): Promise<void> {
  await client.workflow
    .execute(type, { taskQueue: controlQueue, workflowId: name, args: [order] })
    .catch(() => undefined);
  await keep(name, name);
}

const chosen = { point: { kind: 'newest' }, target: { kind: 'point' } };
await once('backup-complete', 'backup', of);
await once('backup-failed', 'backup', { ...of, site: 'nowhere' });
await once('restore-done', 'restore', { ...of, ...chosen, into: '/restored' });
await once('restore-test-failed', 'restoreTest', { ...of, ...chosen, checks: {} });
await once('prune-done', 'prune', { ...whole, keep: [], dryRun: false });
await once('verify-vault-damaged', 'verifyVault', { ...whole, percent: 10 });
await once('mirror-vault-held-back', 'mirrorVault', { from: vault, to: vault, startedBy: 'record' });
await once('renew-locks-done', 'renewLocks', whole);

async function standing(name: string, type: string, order: unknown): Promise<void> {
  const handle = await client.workflow.start(type, { taskQueue: controlQueue, workflowId: name, args: [order] });
  const phase = async (): Promise<string> => (await handle.query<{ phase: string }>('status')).phase;
  const before = work;
  await eventually(`${name} works`, async () => work > before);
  await handle.signal('pause');
  await eventually(`${name} is paused`, async () => (await phase()) === 'paused');
  await handle.signal('resume');
  await eventually(`${name} works again`, async () => work > before + 1);
  await handle.cancel();
  await handle.result().catch(() => undefined);
  await keep(name, name);
}

await standing('archive-wal-paused', 'archiveWal', { ...of, synchronous: false });
const receipts = { name: 'receipts', driver: 'bucket', shared: {}, sites: {} };
const pair = { service: 'shop', resource: receipts, from: 'hangzhou', to: 'beijing', startedBy: 'record' };
await standing('replicate-paused', 'replicate', pair);
worker.shutdown();
await running;
await connection.close();
