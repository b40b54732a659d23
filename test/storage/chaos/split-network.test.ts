import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type S3Client } from '@aws-sdk/client-s3';
import { repeated } from '../../support/long.ts';
import { createRandom, type Random } from '../sim/random.ts';
import { allSeen } from '../support/all-seen.ts';
import { pause, until } from './support/cluster.ts';
import { isWhole } from './support/health.ts';
import { HotKeys } from './support/hot-keys.ts';
import { assertOneMind, Bucket, keys, nodes, startLoad, startWithBucket } from './support/hot-load.ts';
import { type Cut } from './support/network.ts';
import { type RelayedCluster, whyNoRelays } from './support/relayed-cluster.ts';

const skip = whyNoRelays() ?? false;

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
    await allSeen(cluster.endpoints);
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
  for (let round = 0; round < repeated(5, 24); round++) {
    cutAtRandom(cluster, random);
    await pause(random.between(200, 1_100));
    cluster.network.heal();
    if (random.chance(0.5)) await pause(random.between(0, 400));
  }
  await load.answers(nodes, 5);
  await load.stop();
  await allSeen(cluster.endpoints);
  await assertOneMind(clients, load.hot);
  load.hot.assertLinearizable();
});
