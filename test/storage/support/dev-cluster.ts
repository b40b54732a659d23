import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { adminCall, type AdminReply } from '../../../storage-node/admin/client.ts';
import { type DevCluster, startDev } from '../../../storage-node/dev/dev.ts';
import { portsInARow } from '../../support/ports.ts';
import { allSeen } from './all-seen.ts';

export const account = { user: 'tester', password: 'tester-secret-123' };

/** A cluster of real processes in a directory of its own. */
export interface TestCluster {
  cluster: DevCluster;
  dir: string;
  /** A client of one node. */
  client(node: number): S3Client;
  admin(node: number, method: 'GET' | 'POST', pathAndQuery: string): Promise<AdminReply>;
  /** Ends all processes in order, or by SIGKILL, and starts them again over the same directory. */
  restart(how: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startCluster(options: { tls?: boolean; nodes?: number } = {}): Promise<TestCluster> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-cluster-'));
  const nodes = options.nodes ?? 4;
  const port = await portsInARow(nodes);
  const clients: S3Client[] = [];
  const start = async (): Promise<DevCluster> => {
    const cluster = await startDev({
      ...{ nodes, drivesPerNode: 1, port, dir, tls: options.tls === true, plainRpc: false },
      env: {
        ...process.env,
        MUSTER_ROOT_USER: account.user,
        MUSTER_ROOT_PASSWORD: account.password,
        MUSTER_LOG_LEVEL: 'error',
      },
      onExit: () => {},
    });
    if (options.tls !== true) await allSeen(cluster.endpoints);
    return cluster;
  };
  const self: TestCluster = {
    cluster: await start(),
    dir,
    client(node) {
      const client = new S3Client({
        endpoint: self.cluster.endpoints[node]!,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: { accessKeyId: account.user, secretAccessKey: account.password },
        maxAttempts: 1,
        requestHandler: { requestTimeout: 30_000, httpsAgent: new Agent({ ca: authority(self.cluster.caFile) }) },
      });
      clients.push(client);
      return client;
    },
    admin: (node, method, pathAndQuery) =>
      adminCall(
        { endpoint: self.cluster.endpoints[node]!, ...account, region: 'us-east-1', timeoutMs: 120_000 },
        method,
        `/muster/admin/v1${pathAndQuery}`,
      ),
    async restart(how) {
      if (how === 'SIGKILL') for (const pid of self.cluster.pids) signal(pid, 'SIGKILL');
      await self.cluster.stop();
      self.cluster = await start();
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      await self.cluster.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return self;
}

function authority(file: string | undefined): string[] {
  return file === undefined ? [] : [readFileSync(file, 'utf8')];
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended already.
  }
}
