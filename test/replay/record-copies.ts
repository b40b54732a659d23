/**
 * `node scripts/run.mjs test/replay/record-copies.ts`: as record.ts, of long copies: one that is paused and goes on as a
 * new run, one that the guard stops. Never records over a fixture that is there.
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Context } from '@temporalio/activity';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { NativeConnection, Worker } from '@temporalio/worker';
import { workflowBundle } from '../../worker/bundle.ts';
import { controlQueue } from '../../worker/run-start.ts';
import { noCopyCounts, type CopyOrder, type CopyPiece, type CopyPieceEnd } from '../../workflows/engine/copying.ts';
import { startTemporal } from '../support/temporal.ts';

const filter = {
  ...{ prefix: '', include: [], exclude: [], minSizeBytes: null, maxSizeBytes: null },
  ...{ minAgeSeconds: null, maxAgeSeconds: null, tags: {} },
};
const order = (name: string): CopyOrder => ({
  ...{ name, from: 's3://from', to: 's3://to', mode: 'do', measure: true, startedBy: 'record' },
  legs: [{ kind: 'copy', name: 'all', filter, removeSource: true }],
  rule: {
    ...{ versions: false, deleteShare: 0.1, verifyShare: 0, compareBy: 'content', properties: false },
    ...{ overwrite: 'ours', storageClass: 'keep', bandwidth: null, requests: null, transfers: 8 },
  },
  shard: { bytes: 1, ms: 1, perRun: 3 },
});

let isHeld = false;
async function piece({ copy, stage, cursor }: CopyPiece): Promise<CopyPieceEnd> {
  const done = typeof cursor?.['done'] === 'number' ? cursor['done'] : 0;
  const counts = { ...noCopyCounts(), onlySource: 4, wantedBytes: 4, copied: done + 1, failed: done };
  const end = { counts, cursor: null, named: [], failure: null, elapsedMs: 1, rate: null };
  if (stage !== 'copying') return { ...end, kind: 'complete' };
  if (copy.name === 'guarded') {
    return { ...end, kind: 'stopped', failure: { code: 'DELETE_GUARD', message: '5 of 9 objects would be deleted' } };
  }
  if (done === 1) {
    // Answers a pause with its cursor.
    isHeld = true;
    const beat = setInterval(() => Context.current().heartbeat(), 500);
    await Context.current().cancelled.catch(() => undefined);
    clearInterval(beat);
  }
  const named = [{ key: `k${done}`, what: 'failed', why: 'CHECKSUM_MISMATCH: odd' }];
  return done === 4 ? { ...end, named, kind: 'complete' } : { ...end, named, kind: 'more', cursor: { done: done + 1 } };
}

await using temporal = await startTemporal();
const { client } = temporal;
const connection = await NativeConnection.connect({ address: temporal.address });
const codePath = await workflowBundle(path.join(import.meta.dirname, '..', '..', '.muster', 'cache'));
const activities = { 'copy objects': piece, 'record protection': async () => {} };
const worker = await Worker.create({ connection, taskQueue: controlQueue, activities, workflowBundle: { codePath } });
const running = worker.run();

async function keep(name: string, workflowId: string, runId: string): Promise<void> {
  const file = path.join(import.meta.dirname, 'histories', `${name}.json`);
  if (existsSync(file)) return;
  const root = path.join(import.meta.dirname, '..', '..');
  const history = historyToJSON(await client.workflow.getHandle(workflowId, runId).fetchHistory());
  // A fixture knows no machine: no place of the checkout, no host.
  await writeFile(file, history.replaceAll(root, '/app').replaceAll(/\d+@[\w.-]+/g, '1@test'));
  process.stdout.write(`${name}\n`);
}

const start = (name: string) =>
  client.workflow.start('copyObjects', { taskQueue: controlQueue, workflowId: `copy/${name}`, args: [order(name)] });

const guarded = await start('guarded');
await guarded.result();
await keep('copy-objects-guarded', guarded.workflowId, guarded.firstExecutionRunId);

const paused = await start('paused');
while (!isHeld) await new Promise((resolve) => setTimeout(resolve, 50));
await paused.signal('pause');
while ((await paused.query<{ phase: string }>('status')).phase !== 'paused' || (await pendingOf('copy/paused')) > 0)
  await new Promise((resolve) => setTimeout(resolve, 50));
await paused.signal('resume');
await paused.result();
const { runId } = await client.workflow.getHandle('copy/paused').describe();
await keep('copy-objects-paused', 'copy/paused', paused.firstExecutionRunId);
await keep('copy-objects-continued', 'copy/paused', runId);

worker.shutdown();
await running;
await connection.close();

async function pendingOf(workflowId: string): Promise<number> {
  const { raw } = await client.workflow.getHandle(workflowId).describe();
  return raw.pendingActivities?.length ?? 0;
}
