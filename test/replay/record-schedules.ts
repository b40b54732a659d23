/**
 * `node scripts/run.mjs test/replay/record-schedules.ts`: as record.ts, of turns of schedules and of runs that pause and
 * resume schedules. Never records over a fixture that is there.
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { desiredSchedules } from '../../worker/schedules/desired.ts';
import { compileProtection } from '../../runbooks/protection.ts';
import { controlQueue, startRun } from '../../worker/run-start.ts';
import type { RunKind } from '../../workflows/engine/plan.ts';
import { inOrder, planOf, step } from '../support/plan.ts';
import { backing, startWorld } from '../support/schedules.ts';
import { startTemporal } from '../support/temporal.ts';

const point = {
  id: 'vault/1',
  status: 'complete',
  problems: [],
  problemCount: 0,
  sizeBytes: 1,
  addedBytes: 1,
  files: 1,
};

/** A fixture knows no machine: no place of the checkout, no host. */
function anonymous(history: string): string {
  const root = path.join(import.meta.dirname, '..', '..');
  return history.replaceAll(root, '/app').replaceAll(/\d+@[\w.-]+/g, '1@test');
}

const temporal = await startTemporal();
const { client } = temporal;
const [backup] = desiredSchedules(compileProtection(backing()));
const [input] = backup?.content.args ?? [];

async function keep(name: string, workflowId: string): Promise<void> {
  const file = path.join(import.meta.dirname, 'histories', `${name}.json`);
  if (existsSync(file)) return;
  await writeFile(file, anonymous(historyToJSON(await client.workflow.getHandle(workflowId).fetchHistory())));
  process.stdout.write(`${name}\n`);
}

async function turn(name: string): Promise<void> {
  const options = { taskQueue: controlQueue, workflowId: `scheduled/${name}`, args: [input] };
  await client.workflow.execute('scheduled', options);
  await keep(name, options.workflowId);
}

async function move(kind: RunKind, name: string): Promise<void> {
  const promote = step('promote-orders', { effect: 'irreversible', clock: 'promoted' });
  const mode = kind === 'failover' ? 'ungraceful' : 'graceful';
  const plan = planOf(inOrder([step('check-orders'), promote]), { kind, mode });
  const labels = { estateHash: 'replay', software: 'muster', chainId: null, scenario: null };
  const run = await startRun(client, { kind, plans: [plan], startedBy: 'record', labels });
  await run.result();
  await keep(name, run.workflowId);
}

await using _temporal = temporal;
let release = (): void => {};
const held = new Promise<void>((resolve) => (release = resolve));
let backups = 0;
await using _world = await startWorld(temporal, backing(), async () => {
  if (backups++ > 0) await held;
  return point;
});
await turn('scheduled-complete');
const byHand = {
  taskQueue: controlQueue,
  workflowId: 'backup/shop/orders/vault',
  args: (input?.['args'] ?? []) as unknown[],
};
const running = await client.workflow.start('backup', byHand);
await turn('scheduled-skipped');
release();
await running.result();
await move('failover', 'failover-pauses-schedules');
await move('failback', 'failback-resumes-schedules');
