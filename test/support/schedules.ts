import path from 'node:path';
import { ScheduleNotFoundError, type Client } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { parseEstate, type Estate } from '../../runbooks/estate.ts';
import { aimAtWriter, type AimDeps } from '../../worker/aim.ts';
import { createActivities } from '../../worker/activities.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import type { FindingRow } from '../../worker/ledger/types.ts';
import { createLog } from '../../worker/log.ts';
import { createMetrics } from '../../worker/metrics.ts';
import { controlQueue } from '../../worker/run-start.ts';
import { scheduleActivities } from '../../worker/schedules/activities.ts';
import { applySchedules, compareSchedules } from '../../worker/schedules/apply.ts';
import { readSchedules } from '../../worker/schedules/read.ts';
import type { BackupOrder, ProtectionBatch } from '../../workflows/engine/protection.ts';
import { testCatalogue } from './catalogue.ts';
import { estateText } from './estates.ts';
import { eventually } from './eventually.ts';
import { fakeDriver } from './fake-driver.ts';
import type { TestTemporal } from './temporal.ts';

const vaults = { vault: { repository: '/backup/vault', password: 'env:P', site: 'beijing', verifyWithin: '30d' } };
export const backupId = 'backup/shop/orders/vault';

/** Service `shop` at hangzhou, whose vault lies at beijing and is verified. */
export function estateOf(service: Record<string, unknown>): Estate {
  return parseEstate(estateText(service, vaults), 'muster.yaml', testCatalogue);
}

/** The same with one backup, restored every week; what is given replaces or adds to it. */
export function backing(more: Record<string, unknown> = {}, service: Record<string, unknown> = {}): Estate {
  const backup = { resource: 'orders', every: '6h', to: 'vault', restoreTest: 'weekly', ...more };
  return estateOf({ backups: [backup], ...service });
}

/** Ids that `apply` has done something with. */
const touched = new Set<string>();

/** @returns ids of what was done */
export async function apply(client: Client, estate: Estate): Promise<string[]> {
  const done = await applySchedules(client, await compareSchedules(client, estate), estate);
  for (const id of done) touched.add(id);
  return done;
}

/** Temporal's list is some moments behind. */
export async function listed(client: Client, count: number): Promise<void> {
  await eventually(`${count} schedules are listed`, async () => (await readSchedules(client)).ours.length === count);
}

/** Also what Temporal's list does not show yet; what it still shows may be gone. */
export async function removeAll(client: Client): Promise<void> {
  for (const id of touched) await remove(client, id);
  touched.clear();
  await eventually('no schedule is listed', async () => {
    let none = true;
    for await (const { scheduleId } of client.schedule.list()) {
      none = false;
      await remove(client, scheduleId);
    }
    return none;
  });
}

async function remove(client: Client, id: string): Promise<void> {
  try {
    await client.schedule.getHandle(id).delete();
  } catch (err) {
    if (!(err instanceof ScheduleNotFoundError)) throw err;
  }
}

export interface World extends AsyncDisposable {
  findings: FindingRow[];
}

/** Workers of the control plane and of both sites, with backups that do what a test says. */
export async function startWorld(
  temporal: TestTemporal,
  estate: Estate,
  saveBackup: (order: BackupOrder) => Promise<unknown>,
  writer: { site: string | null } = { site: null },
): Promise<World> {
  const findings: FindingRow[] = [];
  const log = createLog('test', 'error');
  const ledger = { addFinding: async (finding: FindingRow) => void findings.push(finding) };
  const aim: AimDeps = { estate, writerOf: () => writer.site, whyShut: async () => null };
  const { driver } = fakeDriver();
  const connection = await NativeConnection.connect({ address: temporal.address });
  const recordBatch = async (): Promise<void> => {};
  const drivers = { fake: driver, postgres: driver };
  const activities = {
    ...createActivities({ drivers, log, metrics: createMetrics('test'), recordBatch }),
    ...scheduleActivities({ estate, ledger, client: async () => temporal.client, log, aim }),
    'aim at writer': (of: BackupOrder) => aimAtWriter(aim, of),
    'save backup': saveBackup,
    'record protection': async ({ run, findings: found }: ProtectionBatch) => {
      const of = { service: run.service, runId: run.id, stepId: null, atMs: run.endedAtMs };
      for (const finding of found) findings.push({ ...of, ...finding });
    },
  };
  const codePath = await workflowBundle(path.join(import.meta.dirname, '..', '..', '.muster', 'cache'));
  const workers = await Promise.all([
    Worker.create({ connection, taskQueue: controlQueue, activities, workflowBundle: { codePath } }),
    ...['hangzhou', 'beijing'].map((site) => Worker.create({ connection, taskQueue: `site-${site}`, activities })),
  ]);
  const running = workers.map((worker) => worker.run());
  const dispose = async (): Promise<void> => {
    for (const worker of workers) worker.shutdown();
    await Promise.all(running);
    await connection.close();
  };
  return { findings, [Symbol.asyncDispose]: dispose };
}
