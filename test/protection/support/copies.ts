import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { openNodeLog } from '../../../activities/mover/changes/node-log.ts';
import { parseLocation } from '../../../activities/objects/location.ts';
import { openObjects } from '../../../activities/objects/open.ts';
import type { ObjectClient } from '../../../activities/objects/types.ts';
import { startProtection, type StartedProtection } from '../../../worker/protection-start.ts';
import type { CopyFilter, CopyOrder, CopyResult, CopyRule, CopyView } from '../../../workflows/engine/copying.ts';
import { account, startCluster } from '../../storage/support/dev-cluster.ts';
import { openWorld, type ProtectionWorld } from './world.ts';

/** Long copies on a real cluster and a real Temporal, carried out by a worker process that may be killed. */
export interface CopiesWorld extends AsyncDisposable {
  world: ProtectionWorld;
  addressOf(bucket: string): string;
  newBucket(name: string): Promise<ObjectClient>;
  /** A pair of buckets, the first with so many small objects. */
  pairWith(name: string, objects: number): Promise<{ from: ObjectClient; to: ObjectClient }>;
  /** From the first bucket of a name's pair to the second, in pieces of ten objects or so. */
  orderOf(name: string, rule?: Partial<CopyRule>, more?: Partial<CopyOrder>): CopyOrder;
  start(order: CopyOrder): Promise<StartedProtection<CopyResult>>;
  /** Started, and to its end. */
  copied(order: CopyOrder): Promise<CopyResult>;
  statusOf(workflowId: string): Promise<CopyView>;
  killWorker(): Promise<void>;
  startWorker(): void;
}

export async function openCopies(): Promise<CopiesWorld> {
  process.env['COPIES_ACCESS_KEY_ID'] = account.user;
  process.env['COPIES_SECRET_ACCESS_KEY'] = account.password;
  const [world, cluster] = await Promise.all([openWorld({ worker: 'none' }), startCluster()]);
  const opened: ObjectClient[] = [];
  let worker: ChildProcess | undefined;
  const self: CopiesWorld = {
    world,
    addressOf: (bucket) => `s3://${bucket}?endpoint=${cluster.cluster.endpoints[0]}&credentials=COPIES`,
    async newBucket(name) {
      const client = openObjects(parseLocation(self.addressOf(name), process.env));
      opened.push(client);
      await client.createBucket();
      return client;
    },
    async pairWith(name, objects) {
      const [from, to] = [await self.newBucket(`${name}-from`), await self.newBucket(`${name}-to`)];
      await Promise.all(Array.from({ length: objects }, (_, i) => from.put(keyOf(i), Buffer.alloc(2_000, i))));
      return { from, to };
    },
    orderOf: (name, rule = {}, more = {}) => ({
      ...{ name, from: self.addressOf(`${name}-from`), to: self.addressOf(`${name}-to`), mode: 'do', measure: true },
      legs: [{ kind: 'copy', name: 'all', filter: all, removeSource: false }],
      rule: { ...usualRule, ...rule },
      shard: { bytes: 20_000, ms: 300_000, perRun: 3, pageKeys: 5 },
      ...{ startedBy: 'test', ...more },
    }),
    start(order) {
      const workflowId = `copy/${order.name}`;
      const about = { workflowType: 'copyObjects', workflowId, order, service: '', summary: workflowId };
      return startProtection<CopyResult>(world.temporal.client, about);
    },
    copied: async (order) => (await self.start(order)).result(),
    statusOf: (workflowId) => world.temporal.client.workflow.getHandle(workflowId).query<CopyView>('status'),
    async killWorker() {
      if (worker === undefined || worker.exitCode !== null || worker.signalCode !== null) return;
      const exit = once(worker, 'exit');
      worker.kill('SIGKILL');
      await exit;
    },
    startWorker() {
      const program = path.join(import.meta.dirname, 'worker-program.ts');
      const home = path.join(world.dir, 'home');
      worker = spawn(process.execPath, [program, world.temporal.address, world.ledgerUrl, home], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
    },
    async [Symbol.asyncDispose]() {
      await self.killWorker();
      await Promise.all(opened.map((client) => client[Symbol.asyncDispose]()));
      await cluster[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
  // The processes that use a reference resolve it.
  process.env['NAMED_TO'] = self.addressOf('named-to');
  self.startWorker();
  return self;
}

export const keyOf = (i: number): string => `k${String(i).padStart(3, '0')}`;

export const all: CopyFilter = {
  ...{ prefix: '', include: [], exclude: [], minSizeBytes: null, maxSizeBytes: null },
  ...{ minAgeSeconds: null, maxAgeSeconds: null, tags: {} },
};
const usualRule: CopyRule = {
  ...{ versions: false, deleteShare: null, verifyShare: 0, compareBy: 'content', properties: false, overwrite: 'ours' },
  ...{ storageClass: 'keep', bandwidth: null, requests: null, transfers: 8 },
};

export async function keysOf(client: ObjectClient): Promise<string[]> {
  return (await client.list()).objects.map(({ key }) => key);
}

/** Keys that were written more than once at a bucket, by its own change log. */
export async function writtenTwice(client: ObjectClient): Promise<string[]> {
  const writes = new Map<string, number>();
  const keys = { accessKeyId: account.user, secretAccessKey: account.password };
  await using log = openNodeLog(client.place, () => Promise.resolve(keys));
  for (let position = 0, more = true; more;) {
    const answer = await log.read({ after: position });
    assert.equal(answer.kind, 'page');
    if (answer.kind !== 'page') break;
    for (const { key, kind } of answer.page.changes) if (kind === 'put') writes.set(key, (writes.get(key) ?? 0) + 1);
    ({ position, more } = answer.page);
  }
  assert.ok(writes.size > 0);
  return [...writes].filter(([, count]) => count > 1).map(([key]) => key);
}
