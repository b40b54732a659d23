import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { eventually } from '../../support/eventually.ts';
import { repeated } from '../../support/long.ts';
import { signal, startCluster } from '../support/dev-cluster.ts';

const Bucket = 'chaos';
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function read(client: S3Client, Key: string, VersionId?: string): Promise<Buffer> {
  const answer = await client.send(
    new GetObjectCommand({ Bucket, Key, ...(VersionId === undefined ? {} : { VersionId }) }),
  );
  return Buffer.from(await answer.Body!.transformToByteArray());
}

/** Bodies of all kinds of size: inside the accept, staged, many stripes. */
function body(i: number): Buffer {
  return randomBytes([10, 4_096, 200_000, 1_500_000][i % 4]!);
}

async function list(client: S3Client): Promise<string[]> {
  const keys: string[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({ Bucket, ...(ContinuationToken === undefined ? {} : { ContinuationToken }) }),
    );
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key!));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  return keys;
}

test('one node dies under load: every acknowledged object is right; with a second away all can still be read', async () => {
  await using world = await startCluster();
  const clients = [0, 1, 2].map((node) => world.client(node));
  await clients[0]!.send(new CreateBucketCommand({ Bucket }));
  const acknowledged = new Map<string, string>();
  let running = true;
  const failures: string[] = [];
  let written = 0;
  const load = clients.map(async (client, c) => {
    for (let i = 0; running; i++) {
      const bytes = body(i);
      const Key = `c${c}/${i % 40}`;
      try {
        await client.send(new PutObjectCommand({ Bucket, Key, Body: bytes }));
        acknowledged.set(Key, sha(bytes));
        written += 1;
      } catch (error) {
        acknowledged.delete(Key);
        failures.push(String(error));
      }
    }
  });
  await eventually('enough is written', () => acknowledged.size >= 12);
  signal(world.cluster.pids[3]!, 'SIGKILL');
  const before = written;
  await eventually('writes go on without it', () => written >= before + 40 || failures.length > 0);
  running = false;
  await Promise.all(load);
  assert.deepEqual(failures, [], 'writes through living nodes go on');
  for (const [Key, want] of acknowledged) assert.equal(sha(await read(clients[1]!, Key)), want, Key);
  assert.deepEqual(
    (await list(clients[2]!)).filter((key) => acknowledged.has(key)),
    [...acknowledged.keys()].sort(),
  );
  // Before the second is taken away its shards have to be where they belong: three of four hold them all.
  await eventually(
    'all is healed that can be',
    async () => (await world.admin(0, 'POST', '/heal?wait=true')).status === 200,
  );
  signal(world.cluster.pids[2]!, 'SIGSTOP');
  try {
    for (const [Key, want] of acknowledged) assert.equal(sha(await read(clients[0]!, Key)), want, Key);
    const refused = await clients[0]!
      .send(new PutObjectCommand({ Bucket, Key: 'x', Body: 'x' }))
      .catch((error: Error) => error);
    assert.ok(refused instanceof Error, 'two of four are too few to write');
    signal(world.cluster.pids[1]!, 'SIGKILL');
    for (const Key of [...acknowledged.keys()].slice(0, 3)) await assert.rejects(read(clients[0]!, Key));
  } finally {
    signal(world.cluster.pids[2]!, 'SIGCONT');
  }
});

const rounds = repeated(2, 6);

test('all nodes are killed at once, again and again: nothing acknowledged is lost or torn', async () => {
  await using world = await startCluster();
  await world.client(0).send(new CreateBucketCommand({ Bucket }));
  const setting = { Bucket, VersioningConfiguration: { Status: 'Enabled' as const } };
  await world.client(0).send(new PutBucketVersioningCommand(setting));
  const versions = new Map<string, { Key: string; sum: string }>();
  const gone = new Set<string>();
  // A delete that was cut off without an answer may have happened.
  const unsure = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    let running = true;
    const load = [0, 1, 2, 3].map(async (node) => {
      const client = world.client(node);
      for (let i = 0; running; i++) {
        const bytes = body(i + node);
        const Key = `r${round}/n${node}/${i}`;
        const put = await client.send(new PutObjectCommand({ Bucket, Key, Body: bytes })).catch(() => undefined);
        if (put === undefined) continue;
        versions.set(put.VersionId!, { Key, sum: sha(bytes) });
        if (i % 5 !== 4) continue;
        const removed = await client.send(new DeleteObjectCommand({ Bucket, Key })).catch(() => undefined);
        (removed === undefined ? unsure : gone).add(Key);
      }
    });
    const upload = uploadInParts(world.client(1), `r${round}/big`);
    await eventually('enough is written', () => versions.size > 16 * (round + 1));
    const big = await Promise.race([
      upload,
      new Promise<undefined>((resolve) => setTimeout(resolve, 3_000, undefined)),
    ]);
    running = false;
    for (const pid of world.cluster.pids) signal(pid, 'SIGKILL');
    await Promise.all(load);
    await world.restart('SIGKILL');
    const client = world.client(round % 4);
    for (const [id, { Key, sum }] of versions) assert.equal(sha(await read(client, Key, id)), sum, `${Key} ${id}`);
    for (const Key of gone) await assert.rejects(read(client, Key), { name: 'NoSuchKey' });
    const listed = new Set(await list(client));
    for (const { Key } of versions.values()) {
      assert.ok(listed.has(Key) || gone.has(Key) || unsure.has(Key), `${Key} is not listed`);
    }
    if (big !== undefined) assert.equal(sha(await read(client, `r${round}/big`)), big);
  }
});

interface Healed {
  short: number;
  complete: boolean;
}

async function uploadInParts(client: S3Client, Key: string): Promise<string | undefined> {
  try {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const bodies = [randomBytes(5 * 1024 * 1024), randomBytes(1_000)];
    const Parts = [];
    for (const [i, Body] of bodies.entries()) {
      const { ETag, ChecksumCRC32 } = await client.send(
        new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: i + 1, Body }),
      );
      Parts.push({ ETag, ChecksumCRC32, PartNumber: i + 1 });
    }
    await client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
    return sha(Buffer.concat(bodies));
  } catch {
    return undefined;
  }
}

test('a node whose drive was replaced is healed when a recount says so; then two others may go', async () => {
  await using world = await startCluster();
  const client = world.client(0);
  await client.send(new CreateBucketCommand({ Bucket }));
  const bodies = new Map<string, Buffer>();
  for (let i = 0; i < 12; i++) bodies.set(`k${i}`, body(i));
  for (const [Key, Body] of bodies) await client.send(new PutObjectCommand({ Bucket, Key, Body }));
  await world.cluster.stop();
  rmSync(path.join(world.dir, 'node2', 'drive1'), { recursive: true });
  await world.restart('SIGTERM');
  // Right after the start not every node has found every other one; a pass that missed one says so.
  let set: Healed | undefined;
  for (let tries = 0; tries < 40 && (set === undefined || !set.complete || set.short > 0); tries++) {
    const healed = await world.admin(3, 'POST', '/heal?wait=true');
    // A pass that could not be made at all is no answer yet either.
    if (healed.status === 200) [set] = (healed.body as { sets: Healed[] }).sets;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.deepEqual([set!.short, set!.complete], [0, true], JSON.stringify(set));
  signal(world.cluster.pids[0]!, 'SIGKILL');
  signal(world.cluster.pids[2]!, 'SIGKILL');
  const reader = world.client(3);
  for (const [Key, Body] of bodies) assert.ok((await read(reader, Key)).equals(Body), Key);
});

test('a fenced site refuses clients on every node and says so; reads go on; a newer epoch opens it', async () => {
  await using world = await startCluster();
  const client = world.client(0);
  await client.send(new CreateBucketCommand({ Bucket }));
  await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'before' }));
  const fenced = await world.admin(1, 'POST', '/fence?epoch=7');
  assert.deepEqual(fenced, { status: 200, body: { epoch: 7, fenced: true, leased: false } });
  for (const node of [0, 1, 2, 3]) {
    await assert.rejects(world.client(node).send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' })), {
      name: 'SiteFenced',
    });
    assert.equal((await read(world.client(node), 'k')).toString(), 'before');
  }
  assert.equal((await world.admin(2, 'POST', '/unfence?epoch=6')).status, 400);
  await world.restart('SIGKILL');
  await assert.rejects(world.client(2).send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' })), {
    name: 'SiteFenced',
  });
  assert.equal((await world.admin(2, 'POST', '/unfence?epoch=8')).status, 200);
  for (const node of [0, 1, 2, 3]) {
    // A node learns the new epoch at the latest from the first drive that refuses it.
    await world.admin(node, 'GET', '/site');
    await world.client(node).send(new PutObjectCommand({ Bucket, Key: 'k', Body: `after ${node}` }));
  }
});
