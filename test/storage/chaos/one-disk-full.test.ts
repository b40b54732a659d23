import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CreateBucketCommand, DeleteObjectCommand } from '@aws-sdk/client-s3';
import { type ChaosCluster, signal, startOn, until } from './support/cluster.ts';
import { assertAllThere, Bucket, clientsOf, fill, outcome, put } from './support/filling.ts';
import { canStop as askWhetherToStop, isWhole } from './support/health.ts';
import { createSmallDisks, whyNoSmallDisk } from './support/small-disk.ts';

const skip = whyNoSmallDisk() ?? false;
const env = { MUSTER_RESERVE_MIB: '16' };
const refusal = '507 InsufficientStorage';

function canStop(cluster: ChaosCluster, node: number): Promise<number> {
  return askWhetherToStop(cluster.endpoints[0]!, new URL(cluster.endpoints[node]!).host);
}

test('one full disk stops nobody; when it has room again it is healed and counts in full', { skip }, async () => {
  using small = createSmallDisks([160, 160, 160, 40]);
  await using cluster = await startOn(
    small.disks.map(({ dir }) => dir),
    env,
  );
  const clients = clientsOf(cluster);
  await clients[0]!.send(new CreateBucketCommand({ Bucket }));
  const objects = new Map<string, string>();
  assert.equal(await fill(clients, objects, 40), 'ok', 'three of four are enough to write');
  await assertAllThere(clients, objects);
  // What it could not take in full it gives back, and has room for something small then: not any more.
  small.disks[3]!.resize(36);
  await until('three take writes', async () => (await canStop(cluster, 0)) === 412);
  for (const node of [1, 2]) assert.equal(await canStop(cluster, node), 412, 'the three that take writes must stay');
  await until('the full one is not needed to write', async () => (await canStop(cluster, 3)) === 200);
  small.disks[3]!.resize(160);
  await until('the disk that was full is healed', () => isWhole(cluster.endpoints[0]!));
  for (const node of [0, 1, 2]) await until(`${node} may stop`, async () => (await canStop(cluster, node)) === 200);
  for (const node of [0, 1]) signal(cluster.pids[node]!, 'SIGKILL');
  await assertAllThere(clients.slice(2), objects);
});

test(
  'another program takes every last byte of all disks: writes are refused, and go on when it lets go',
  { skip },
  async () => {
    using small = createSmallDisks([160, 160, 160, 160]);
    await using cluster = await startOn(
      small.disks.map(({ dir }) => dir),
      env,
    );
    const clients = clientsOf(cluster);
    await clients[0]!.send(new CreateBucketCommand({ Bucket }));
    const objects = new Map<string, string>();
    assert.equal(await fill(clients, objects, 12), 'ok');
    const giveBack = small.disks.map((disk) => disk.fillUp());
    for (const client of clients) assert.equal(await put(client, 5_000_000), refusal);
    // After some seconds not even a ballot can be promised any more, which needs room to be written down as well.
    for (const client of clients)
      assert.match(await put(client, 10), /^(507 InsufficientStorage|503 ServiceUnavailable)$/);
    await assertAllThere(clients, objects);
    // Not even a delete may find room to be written down; it must not half happen.
    const removed = [...objects.keys()].slice(0, 4);
    for (const [i, Key] of removed.entries()) {
      const how = await outcome(clients[i]!.send(new DeleteObjectCommand({ Bucket, Key })));
      if (how === 'ok') objects.delete(Key);
    }
    await assertAllThere(clients, objects);
    for (const give of giveBack) give();
    await until('there is room again', async () => (await put(clients[1]!, 5_000_000)) === 'ok');
    assert.equal(await fill(clients, objects, 8), 'ok');
    await assertAllThere(clients, objects);
  },
);
