import assert from 'node:assert/strict';
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { until } from './cluster.ts';
import { HotKeys } from './hot-keys.ts';
import { type RelayedCluster, startRelayed } from './relayed-cluster.ts';

export const Bucket = 'hot';
export const keys = ['a', 'b', 'c'];
export const nodes = [0, 1, 2, 3];

export interface Load {
  hot: HotKeys;
  /** Writers of these nodes have had so many more answers, or errors. */
  answers(of: readonly number[], more: number): Promise<void>;
  errors(of: readonly number[], more: number): Promise<void>;
  stop(): Promise<void>;
}

/** One client on every node, each writing and reading the same few keys over and over. */
export function startLoad(clients: readonly S3Client[]): Load {
  const hot = new HotKeys(Bucket);
  let running = true;
  const load = Promise.all(
    clients.map(async (client, node) => {
      for (let i = 0; running; i++)
        await hot.turn({ name: `c${node}`, client, key: keys[(i + node) % keys.length]! }, i);
    }),
  );
  const each = (of: readonly number[], count: (name: string) => number, more: number): Promise<void> => {
    const wanted = of.map((node) => ({ name: `c${node}`, count: count(`c${node}`) + more }));
    const there = until(`${more} more of ${of.join(', ')}`, () => wanted.every((one) => count(one.name) >= one.count));
    return Promise.race([there, load.then(() => {})]);
  };
  return {
    hot,
    answers: (of, more) => each(of, (name) => hot.answered.get(name) ?? 0, more),
    errors: (of, more) => each(of, (name) => hot.errors.get(name)?.length ?? 0, more),
    async stop() {
      running = false;
      await load;
    },
  };
}

/** What every node shows of every key now is the same. */
export async function assertOneMind(clients: readonly S3Client[], hot: HotKeys): Promise<void> {
  for (const key of keys) {
    const seen = await Promise.all(clients.map((client, node) => hot.get({ name: `end${node}`, client, key })));
    const values = new Set(seen.map((one) => one?.value));
    assert.ok(!seen.includes(undefined) && values.size === 1, `${key}: ${JSON.stringify(seen)}`);
  }
}

export async function startWithBucket(): Promise<{ cluster: RelayedCluster; clients: S3Client[] }> {
  const cluster = await startRelayed();
  const clients = nodes.map(cluster.client);
  await clients[0]!.send(new CreateBucketCommand({ Bucket }));
  return { cluster, clients };
}
