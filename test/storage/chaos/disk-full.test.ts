import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { pause, startOn, until } from './support/cluster.ts';
import { assertAllThere, bodyMiB, Bucket, clientsOf, fill, mebibyte, outcome, put } from './support/filling.ts';
import { createSmallDisks, whyNoSmallDisk } from './support/small-disk.ts';

const skip = whyNoSmallDisk() ?? false;
/** Compaction copies into the reserve what lives: here ten objects, half of each on a drive. */
const env = { MUSTER_RESERVE_MIB: '40' };
const sizes = [
  { sizeMiB: 320, where: 'in a file that is closed' },
  { sizeMiB: 112, where: 'in the file that is written' },
];

for (const { sizeMiB, where } of sizes) {
  const title = `a full cluster refuses writes with 507, reads and deletes, and takes writes again when there is room ${where}`;
  test(title, { skip }, async () => {
    using small = createSmallDisks([sizeMiB, sizeMiB, sizeMiB, sizeMiB]);
    await using cluster = await startOn(
      small.disks.map(({ dir }) => dir),
      env,
    );
    const clients = clientsOf(cluster);
    await clients[0]!.send(new CreateBucketCommand({ Bucket }));
    const { UploadId } = await clients[0]!.send(new CreateMultipartUploadCommand({ Bucket, Key: 'upload' }));
    const objects = new Map<string, string>();
    const refusal = '507 InsufficientStorage';
    assert.equal(await fill(clients, objects, 500), refusal);
    assert.ok(objects.size * bodyMiB > sizeMiB, `full after only ${objects.size} objects`);
    // Drives look at their free space each second, and what a refused write had staged is given back: so near the reserve
    // a small object may still fit. Each that does makes the room smaller, so soon nothing does.
    // Each its own key: writers of one key may outbid each other for so long that nobody knows what became of them.
    const probe = async (client: S3Client, node: number): Promise<string[]> => {
      const part = { Bucket, Key: 'upload', UploadId, PartNumber: node + 1, Body: randomBytes(5 * mebibyte) };
      const sizes = [10, 200_000, 5 * mebibyte];
      const puts = await Promise.all(sizes.map((bytes) => put(client, bytes, `one more ${node} ${bytes}`)));
      return [...puts, await outcome(client.send(new UploadPartCommand(part)))];
    };
    await until('every node refuses every kind of write', async () => {
      assert.equal(await fill(clients, objects, 500), refusal);
      const answers = (await Promise.all(clients.map(probe))).flat();
      for (const answer of answers) assert.ok(answer === 'ok' || answer === refusal, answer);
      const refuse = answers.every((answer) => answer === refusal);
      // Before the drives look again nothing changes but how much is written.
      if (!refuse) await pause(1_000);
      return refuse;
    });
    await assertAllThere(clients, objects);
    for (const Key of [...objects.keys()].slice(10)) {
      await clients[1]!.send(new DeleteObjectCommand({ Bucket, Key }));
      objects.delete(Key);
    }
    // A little is there at once: what refused writes had staged. The rest comes with compaction.
    await until('there is room again', async () => (await fill(clients, objects, 12)) === 'ok');
    await assertAllThere(clients, objects);
  });
}
