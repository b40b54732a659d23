import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { openObjects } from '../../../activities/objects/open.ts';
import { type ObjectPlace } from '../../../activities/objects/place.ts';
import { type ObjectClient } from '../../../activities/objects/types.ts';
import { startDev } from '../../../storage-node/dev/dev.ts';

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
    ...{ nodes, drivesPerNode: 1, port: await freePort(), dir, tls: false, plainRpc: true },
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

/** Ports in a row, with those of the nodes among themselves a thousand above. */
async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = 21_000 + Math.floor(Math.random() * 30_000);
    const wanted = Array.from({ length: nodes }, (_, i) => [port + i, port + i + 1_000]).flat();
    if ((await Promise.all(wanted.map(isFree))).every(Boolean)) return port;
  }
  throw new Error('no free port');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
