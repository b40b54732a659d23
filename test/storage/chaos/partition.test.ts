import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { pause, until } from './support/cluster.ts';
import { createRandom, type Random } from '../sim/random.ts';
import { isWhole } from './support/health.ts';
import { HotKeys } from './support/hot-keys.ts';
import { type Cut } from './support/network.ts';
import { type RelayedCluster, startRelayed, whyNoRelays } from './support/relayed-cluster.ts';

const skip = whyNoRelays() ?? false;
const Bucket = 'hot';
const keys = ['a', 'b', 'c'];
const nodes = [0, 1, 2, 3];

interface Load {
  hot: HotKeys;
  /** Writers of these nodes have had so many more answers, or errors. */
  answers(of: readonly number[], more: number): Promise<void>;
  errors(of: readonly number[], more: number): Promise<void>;
  stop(): Promise<void>;
}

/** One client on every node, each writing and reading the same few keys over and over. */
function startLoad(clients: readonly S3Client[]): Load {
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
async function assertOneMind(clients: readonly S3Client[], hot: HotKeys): Promise<void> {
  for (const key of keys) {
    const seen = await Promise.all(clients.map((client, node) => hot.get({ name: `end${node}`, client, key })));
    const values = new Set(seen.map((one) => one?.value));
    assert.ok(!seen.includes(undefined) && values.size === 1, `${key}: ${JSON.stringify(seen)}`);
  }
}

async function startWithBucket(): Promise<{ cluster: RelayedCluster; clients: S3Client[] }> {
  const cluster = await startRelayed();
  const clients = nodes.map(cluster.client);
  await clients[0]!.send(new CreateBucketCommand({ Bucket }));
  return { cluster, clients };
}

for (const how of ['silent', 'broken'] as const satisfies Cut[]) {
  test(`a node that is cut off (${how}) refuses, the others go on, and all agree after healing`, { skip }, async () => {
    const { cluster, clients } = await startWithBucket();
    await using _ = cluster;
    const load = startLoad(clients);
    await load.answers(nodes, 10);
    cluster.network.partition([[3], [0, 1, 2]], how);
    // What was under way may still be answered; then nothing is.
    await load.errors([3], 2);
    const answered = load.hot.answered.get('c3');
    await Promise.all([load.errors([3], 2), load.answers([0, 1, 2], 20)]);
    assert.equal(load.hot.answered.get('c3'), answered, 'one of four neither reads nor writes');
    cluster.network.heal();
    await load.answers(nodes, 10);
    await load.stop();
    await assertOneMind(clients, load.hot);
    load.hot.assertLinearizable();
    for (const node of [0, 1, 2])
      assert.equal(load.hot.errors.get(`c${node}`), undefined, 'three of four need no fourth');
    for (const error of load.hot.errors.get('c3') ?? []) assert.match(error, /ServiceUnavailable|aborted/);
  });
}

test(
  'two halves both refuse to write and both show what was written before; then they are one again',
  { skip },
  async () => {
    const { cluster, clients } = await startWithBucket();
    await using _ = cluster;
    const hot = new HotKeys(Bucket);
    const at = (node: number): { name: string; client: S3Client } => ({ name: `c${node}`, client: clients[node]! });
    for (const key of keys) await hot.put({ ...at(0), key });
    // Half of the drives can tell only what one of them knows to be decided, and that they learn after the answer.
    await until('all drives know', () => isWhole(cluster.endpoints[0]!));
    cluster.network.partition(
      [
        [0, 1],
        [2, 3],
      ],
      'silent',
    );
    for (const node of nodes)
      for (const key of keys)
        assert.ok(await hot.get({ ...at(node), key }), `node ${node}: ${hot.errors.get(`c${node}`)?.join()}`);
    await Promise.all(nodes.map((node) => hot.put({ ...at(node), key: keys[node % 2]! })));
    for (const node of nodes) assert.match(hot.errors.get(`c${node}`)?.join() ?? 'written', /^put ServiceUnavailable/);
    cluster.network.heal();
    const writes = new Map(nodes.map((node) => [node, hot.answered.get(`c${node}`) ?? 0]));
    for (const node of nodes) {
      await until(`node ${node} writes`, async () => {
        await hot.put({ ...at(node), key: 'a' });
        return hot.answered.get(`c${node}`)! > writes.get(node)!;
      });
    }
    await assertOneMind(clients, hot);
    hot.assertLinearizable();
  },
);

/** Cuts that one seed tells: one way or both, one node or two, some in silence and some at once. */
function cutAtRandom({ network }: RelayedCluster, random: Random): void {
  const how: Cut = random.chance(0.7) ? 'silent' : 'broken';
  if (random.chance(0.3)) network.partition([nodes.slice(0, 2), nodes.slice(2)], how);
  else if (random.chance(0.5)) network.cut(random.pick(nodes), random.pick(nodes), how);
  else {
    const alone = random.pick(nodes);
    network.partition([[alone], nodes.filter((node) => node !== alone)], how);
  }
}

test('ways between nodes come and go, one way or both: every key stays one object', { skip }, async (t) => {
  const seed = Number(process.env['MUSTER_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`MUSTER_SEED=${seed}`);
  const random = createRandom(seed, 'cuts');
  const { cluster, clients } = await startWithBucket();
  await using _ = cluster;
  const load = startLoad(clients);
  for (let round = 0; round < 8; round++) {
    cutAtRandom(cluster, random);
    await pause(random.between(200, 1_100));
    cluster.network.heal();
    if (random.chance(0.5)) await pause(random.between(0, 400));
  }
  await load.answers(nodes, 5);
  await load.stop();
  await assertOneMind(clients, load.hot);
  load.hot.assertLinearizable();
});
