import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { Driver } from '../../activities/driver.ts';
import { createActivities } from '../../worker/activities.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { createLog } from '../../worker/log.ts';
import { createMetrics } from '../../worker/metrics.ts';
import { controlQueue } from '../../worker/run-start.ts';
import { connectClient, registerSearchAttributes } from '../../worker/temporal.ts';
import type { LedgerBatch } from '../../workflows/io.ts';
import { anyPort } from './ports.ts';

// Expected failures are what these tests are about; only what nobody expects is worth a line.
Runtime.install({ logger: new DefaultLogger('ERROR') });

const root = path.join(import.meta.dirname, '..', '..');

/** A dev server of its own, with the flags the sandbox uses. */
export interface TestTemporal extends AsyncDisposable {
  address: string;
  client: Client;
}

export function temporalBinary(): string {
  const fromEnv = process.env['MUSTER_TEMPORAL_BIN'];
  if (fromEnv !== undefined) return fromEnv;
  const setup = path.join(root, '.muster', 'setup.json');
  if (existsSync(setup)) {
    const { temporal } = JSON.parse(readFileSync(setup, 'utf8')) as { temporal?: { kind: string; path?: string } };
    if (temporal?.kind === 'binary' && temporal.path !== undefined) return temporal.path;
  }
  throw new Error('no Temporal server found: run `npm run setup`, or set MUSTER_TEMPORAL_BIN');
}

export async function startTemporal(): Promise<TestTemporal> {
  const dir = await mkdtemp(path.join(tmpdir(), 'muster-temporal-'));
  const port = await anyPort();
  const lifted = [
    'history.transferProcessorMaxPollRPS=2000',
    'history.timerProcessorMaxPollRPS=2000',
    'system.enableActivityEagerExecution=true',
  ];
  const args = [
    'server',
    'start-dev',
    '--headless',
    '--ip',
    '127.0.0.1',
    '--port',
    String(port),
    '--db-filename',
    path.join(dir, 'temporal.db'),
    '--sqlite-pragma',
    'journal_mode=WAL',
    '--sqlite-pragma',
    'synchronous=1',
    '--log-level',
    'never',
  ];
  const server = spawn(temporalBinary(), [...args, ...lifted.flatMap((value) => ['--dynamic-config-value', value])], {
    stdio: 'ignore',
  });
  const address = `127.0.0.1:${port}`;
  const client = await connected(address, server);
  await registerSearchAttributes(client, 'default');
  const dispose = async (): Promise<void> => {
    await client.connection.close();
    await ended(server);
    await rm(dir, { recursive: true, force: true });
  };
  return { address, client, [Symbol.asyncDispose]: dispose };
}

async function connected(address: string, server: ChildProcess): Promise<Client> {
  for (let tries = 0; tries < 300; tries++) {
    if (server.exitCode !== null) throw new Error(`the Temporal server ended with ${server.exitCode}`);
    const client = await connectClient({ address, namespace: 'default' }).catch(() => null);
    if (client !== null) return client;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the Temporal server did not come up');
}

async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return;
  const exit = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await exit;
}

export interface TestWorker extends AsyncDisposable {
  batches: LedgerBatch[];
}

/** The control plane's worker with drivers of the test's choice; `record` may fail as a ledger does. */
export async function startTestWorker(
  temporal: TestTemporal,
  driver: Driver,
  record: (batch: LedgerBatch) => Promise<void> = async () => {},
): Promise<TestWorker> {
  const batches: LedgerBatch[] = [];
  const connection = await NativeConnection.connect({ address: temporal.address });
  const worker = await Worker.create({
    connection,
    workflowBundle: { codePath: await workflowBundle(path.join(root, '.muster', 'cache')) },
    taskQueue: controlQueue,
    activities: createActivities({
      drivers: { [driver.kind]: driver },
      log: createLog('test', 'error'),
      metrics: createMetrics('test'),
      recordBatch: async (batch) => {
        await record(batch);
        batches.push(batch);
      },
    }),
  });
  const running = worker.run();
  const dispose = async (): Promise<void> => {
    worker.shutdown();
    await running;
    await connection.close();
  };
  return { batches, [Symbol.asyncDispose]: dispose };
}
