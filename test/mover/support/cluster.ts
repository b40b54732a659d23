import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openObjects } from '../../../activities/objects/open.ts';
import { type ObjectPlace } from '../../../activities/objects/place.ts';
import { type ObjectClient } from '../../../activities/objects/types.ts';
import { startDev } from '../../../storage-node/dev/dev.ts';
import { portsInARow } from '../../support/ports.ts';

export const account = { accessKeyId: 'tester', secretAccessKey: 'tester-secret-123' };

const nodes = 4;

/** A cluster of our own nodes, as small as one is. */
export interface MoverCluster extends AsyncDisposable {
  endpoint: string;
  dir: string;
  pids: number[];
  place(bucket: string, change?: Partial<ObjectPlace>): ObjectPlace;
  /** Makes the bucket. */
  bucket(name: string, change?: Partial<ObjectPlace>): Promise<ObjectClient>;
}

export async function startMoverCluster(): Promise<MoverCluster> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-mover-'));
  const cluster = await startDev({
    ...{ nodes, drivesPerNode: 1, port: await portsInARow(nodes), dir, tls: false, plainRpc: true },
    env: {
      ...process.env,
      MUSTER_ROOT_USER: account.accessKeyId,
      MUSTER_ROOT_PASSWORD: account.secretAccessKey,
      MUSTER_LOG_LEVEL: 'error',
    },
    onExit: () => {},
  });
  const endpoint = cluster.endpoints[0]!;
  const clients: ObjectClient[] = [];
  const place = (bucket: string, change: Partial<ObjectPlace> = {}): ObjectPlace => ({
    ...{ dialect: 's3', bucket, prefix: '', region: 'us-east-1', endpoint, addressing: 'path' },
    credentials: { kind: 'fixed', credentials: account },
    ...change,
  });
  return {
    ...{ endpoint, dir, pids: cluster.pids, place },
    async bucket(name, change) {
      const client = openObjects(place(name, change));
      clients.push(client);
      await client.createBucket();
      return client;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
      await cluster.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
