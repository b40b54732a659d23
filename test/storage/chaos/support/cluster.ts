import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { adminCall, type AdminReply } from '../../../../storage-node/admin/client.ts';
import { type DevCluster, startDev } from '../../../../storage-node/dev/dev.ts';
import { portsInARow } from '../../../support/ports.ts';
import { allSeen } from '../../support/all-seen.ts';

export const account = { user: 'tester', password: 'tester-secret-123' };

/** A cluster of real processes, each with its drive in a directory that the test chose. */
export interface ChaosCluster extends AsyncDisposable {
  readonly endpoints: readonly string[];
  readonly pids: readonly number[];
  client(node: number): S3Client;
  admin(node: number, method: 'GET' | 'POST', pathAndQuery: string): Promise<AdminReply>;
  /** Ends all processes in order and starts them again. */
  restart(): Promise<void>;
  /** Ends all processes without a word, at the end of a test that has seen enough. */
  kill(): Promise<void>;
}

/** @param homes where each node keeps its drive; with what earlier clusters left there */
export async function startOn(homes: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<ChaosCluster> {
  // Certificates and the rest lie elsewhere than the drives, which may be full or half lost.
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-chaos-'));
  for (const [i, home] of homes.entries()) {
    mkdirSync(home, { recursive: true });
    symlinkSync(home, path.join(dir, `node${i + 1}`));
  }
  const port = await portsInARow(homes.length);
  const clients: S3Client[] = [];
  const start = (): Promise<DevCluster> =>
    startDev({
      ...{ nodes: homes.length, drivesPerNode: 1, port, dir, tls: false, plainRpc: false },
      env: {
        ...process.env,
        MUSTER_ROOT_USER: account.user,
        MUSTER_ROOT_PASSWORD: account.password,
        MUSTER_LOG_LEVEL: 'error',
        ...env,
      },
      onExit: () => {},
    });
  let cluster = await start();
  await allSeen(cluster.endpoints);
  const end = async (): Promise<void> => {
    for (const client of clients.splice(0)) client.destroy();
    await cluster.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  return {
    get endpoints() {
      return cluster.endpoints;
    },
    get pids() {
      return cluster.pids;
    },
    client(node) {
      const client = createClient(cluster.endpoints[node]!);
      clients.push(client);
      return client;
    },
    admin: (node, method, pathAndQuery) =>
      adminCall(
        { endpoint: cluster.endpoints[node]!, ...account, region: 'us-east-1', timeoutMs: 120_000 },
        method,
        `/muster/admin/v1${pathAndQuery}`,
      ),
    async restart() {
      await cluster.stop();
      cluster = await start();
      await allSeen(cluster.endpoints);
    },
    async kill() {
      for (const pid of cluster.pids) signal(pid, 'SIGKILL');
      await end();
    },
    [Symbol.asyncDispose]: end,
  };
}

/** Waits for what is bound to come; the limit is for what never does. */
export async function until(what: string, holds: () => Promise<boolean> | boolean, limitMs = 60_000): Promise<void> {
  const endsAt = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > endsAt) throw new Error(`${what}: not so after ${limitMs / 1_000} s`);
    await pause(50);
  }
}

export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}

const quiet = (): void => {};

/** A client that asks once and says what it heard. */
export function createClient(endpoint: string): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: account.user, secretAccessKey: account.password },
    maxAttempts: 1,
    // It warns of streams that it cannot send twice.
    logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    requestHandler: { requestTimeout: 30_000 },
  });
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended already.
  }
}
