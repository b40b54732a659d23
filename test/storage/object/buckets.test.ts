import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type ClusterLayer } from '../../../storage-node/object/cluster-layer.ts';
import { type Change } from '../../../storage-node/object/model.ts';
import { multipartEtag } from '../../../storage-node/object/multipart-etag.ts';
import { type MemoryDrive } from '../support/memory-drive.ts';
import { memoryDrives, setOf } from '../support/memory-set.ts';
import { fill, layerNode, load, store } from '../support/layer-node.ts';

const bucket = 'photos';
const metadata = { headers: { 'content-type': 'image/png' }, user: {} };
const mib = 1024 * 1024;

async function world(): Promise<{ drives: MemoryDrive[]; nodes: ClusterLayer[] }> {
  const drives = memoryDrives(4);
  const nodes = [0, 1, 2, 3].map((node) => layerNode([setOf(drives, node)], node));
  await nodes[0]!.createBucket({ name: bucket, owner: 'root', region: 'us-east-1' });
  return { drives, nodes };
}

test('a bucket is made once, seen by all, and gone for all when removed', async () => {
  const { nodes } = await world();
  const again = nodes[1]!.createBucket({ name: bucket, owner: 'root', region: 'us-east-1' });
  await assert.rejects(again, { code: 'BucketAlreadyOwnedByYou' });
  const taken = nodes[1]!.createBucket({ name: bucket, owner: 'someone', region: 'us-east-1' });
  await assert.rejects(taken, { code: 'BucketAlreadyExists' });
  await nodes[2]!.createBucket({ name: 'another', owner: 'root', region: 'us-east-1' });
  assert.deepEqual(
    (await nodes[3]!.listBuckets()).map(({ name }) => name),
    ['another', bucket],
  );
  await store(nodes[1]!, bucket, 'key', Buffer.from('x'));
  await assert.rejects(nodes[2]!.deleteBucket(bucket), { code: 'BucketNotEmpty' });
  await store(nodes[1]!, bucket, 'key', Buffer.from('still writable'));
  await nodes[1]!.remove({ bucket, key: 'key' });
  await nodes[2]!.deleteBucket(bucket);
  // Node 1 still believes in the bucket; the drives do not.
  await assert.rejects(store(nodes[1]!, bucket, 'key', Buffer.from('x')), { code: 'NoSuchBucket' });
  assert.deepEqual(
    (await nodes[3]!.listBuckets()).map(({ name }) => name),
    ['another'],
  );
});

test('a node that knows old settings does not overwrite what another made a version', async () => {
  const { nodes } = await world();
  await store(nodes[1]!, bucket, 'key', Buffer.from('one'));
  await nodes[2]!.setVersioning(bucket, 'Enabled');
  await store(nodes[1]!, bucket, 'key', Buffer.from('two'));
  const page = await nodes[3]!.listVersions(bucket, {
    prefix: '',
    delimiter: '',
    maxKeys: 10,
    keyMarker: '',
    versionIdMarker: '',
  });
  assert.equal(page.versions.length, 2);
});

async function begin(layer: ClusterLayer, key: string): Promise<string> {
  const none = { checksumAlgorithm: undefined, checksumType: undefined };
  return (await layer.createUpload({ bucket, key, metadata, ...none })).uploadId;
}

// oxlint-disable-next-line max-params -- read as a sentence in the tests below
async function part(layer: ClusterLayer, key: string, uploadId: string, number: number, body: Buffer): Promise<string> {
  return (await fill(await layer.putPart({ bucket, key, uploadId, number, expectedBytes: body.length }), body)).etag;
}

test('an upload in parts comes together, its last part of a number counts, and completing again says the same', async () => {
  const { drives, nodes } = await world();
  const uploadId = await begin(nodes[0]!, 'big');
  const bodies = [randomBytes(5 * mib), randomBytes(5 * mib + 3), randomBytes(10)];
  await part(nodes[1]!, 'big', uploadId, 1, randomBytes(5 * mib));
  const etags: string[] = [];
  for (const [i, body] of bodies.entries()) etags.push(await part(nodes[i]!, 'big', uploadId, i + 1, body));
  const parts = etags.map((etag, i) => ({ number: i + 1, etag }));
  const listed = await nodes[3]!.listParts(bucket, 'big', uploadId, { afterPart: 1, maxParts: 1 });
  assert.deepEqual([listed.parts.map(({ number }) => number), listed.truncated], [[2], true]);
  const uploads = await nodes[2]!.listUploads(bucket, {
    prefix: '',
    delimiter: '',
    keyMarker: '',
    uploadIdMarker: '',
    maxUploads: 10,
  });
  assert.deepEqual(
    uploads.uploads.map(({ key }) => key),
    ['big'],
  );
  const input = { bucket, key: 'big', uploadId, parts, conditions: {}, checksum: undefined };
  const made = await nodes[3]!.completeUpload(input);
  assert.equal(made.etag, multipartEtag(etags));
  assert.equal((await nodes[0]!.completeUpload(input)).etag, made.etag);
  assert.ok((await load(nodes[2]!, bucket, 'big')).equals(Buffer.concat(bodies)));
  for (const drive of drives) assert.equal(drive.data.size, 3);
  await assert.rejects(nodes[1]!.abortUpload(bucket, 'big', uploadId), { code: 'NoSuchUpload' });
  assert.ok((await load(nodes[1]!, bucket, 'big')).equals(Buffer.concat(bodies)));
  await nodes[1]!.remove({ bucket, key: 'big' });
  for (const drive of drives) assert.equal(drive.data.size, 0);
});

for (const { name, change, code } of [
  {
    name: 'parts out of order',
    change: (p: { number: number; etag: string }[]) => p.reverse(),
    code: 'InvalidPartOrder',
  },
  {
    name: 'a wrong ETag',
    change: (p: { number: number; etag: string }[]) => p.map((one) => ({ ...one, etag: 'x' })),
    code: 'InvalidPart',
  },
  {
    name: 'a part never sent',
    change: (p: { number: number; etag: string }[]) => [...p, { number: 9, etag: 'x' }],
    code: 'InvalidPart',
  },
  { name: 'no part at all', change: () => [], code: 'InvalidArgument' },
]) {
  test(`completing with ${name} is refused and loses nothing`, async () => {
    const { nodes } = await world();
    const uploadId = await begin(nodes[0]!, 'key');
    const etags = [
      await part(nodes[0]!, 'key', uploadId, 1, randomBytes(5 * mib)),
      await part(nodes[0]!, 'key', uploadId, 2, randomBytes(5)),
    ];
    const parts = etags.map((etag, i) => ({ number: i + 1, etag }));
    const input = { bucket, key: 'key', uploadId, conditions: {}, checksum: undefined };
    await assert.rejects(nodes[0]!.completeUpload({ ...input, parts: change([...parts]) }), { code });
    await nodes[0]!.completeUpload({ ...input, parts });
  });
}

test('parts that are too small are refused, except the last', async () => {
  const { nodes } = await world();
  const uploadId = await begin(nodes[0]!, 'key');
  const etags = [
    await part(nodes[0]!, 'key', uploadId, 1, randomBytes(5)),
    await part(nodes[0]!, 'key', uploadId, 2, randomBytes(5)),
  ];
  const parts = etags.map((etag, i) => ({ number: i + 1, etag }));
  const complete = nodes[0]!.completeUpload({
    bucket,
    key: 'key',
    uploadId,
    parts,
    conditions: {},
    checksum: undefined,
  });
  await assert.rejects(complete, { code: 'EntityTooSmall' });
});

test('an aborted upload leaves nothing behind', async () => {
  const { drives, nodes } = await world();
  const uploadId = await begin(nodes[0]!, 'key');
  await part(nodes[1]!, 'key', uploadId, 1, randomBytes(2 * mib));
  await nodes[2]!.abortUpload(bucket, 'key', uploadId);
  for (const drive of drives) assert.equal(drive.data.size, 0);
  await assert.rejects(part(nodes[1]!, 'key', uploadId, 2, randomBytes(5)), { code: 'NoSuchUpload' });
});

test('the change log has every write once, in order, with nothing between pages', async () => {
  const { drives, nodes } = await world();
  const written: string[] = [];
  const write = async (node: number, key: string): Promise<void> => {
    await store(nodes[node]!, bucket, key, Buffer.from(key));
    written.push(key);
  };
  await Promise.all(
    [0, 1, 2, 3].map(async (node) => {
      for (let i = 0; i < 8; i++) await write(node, `n${node}/${i}`);
    }),
  );
  drives[1]!.down = true;
  await write(0, 'while one is down');
  drives[1]!.down = false;
  await nodes[3]!.remove({ bucket, key: 'n0/0' });
  const changes: Change[] = [];
  let after = 0;
  while (changes.length < written.length + 1) {
    const page = await nodes[2]!.changes(bucket, { after, limit: 7, waitMs: 1_000 });
    assert.ok(page.position >= after);
    assert.ok(page.changes.every(({ position }) => position > after && position <= page.position));
    changes.push(...page.changes);
    after = page.position;
  }
  assert.deepEqual(
    changes.map(({ position }) => position),
    changes.map(({ position }) => position).sort((a, b) => a - b),
  );
  assert.deepEqual(
    changes
      .filter(({ kind }) => kind === 'put')
      .map(({ key }) => key)
      .sort(),
    [...written].sort(),
  );
  for (const node of [0, 1, 2, 3]) {
    const own = changes.filter(({ key, kind }) => kind === 'put' && key.startsWith(`n${node}/`)).map(({ key }) => key);
    assert.deepEqual(
      own,
      Array.from({ length: 8 }, (_, i) => `n${node}/${i}`),
    );
  }
  // Of writes to different keys by different nodes the log may turn those of one millisecond round.
  const ofRemoved = changes.filter(({ key }) => key === 'n0/0').map(({ kind }) => kind);
  assert.deepEqual(ofRemoved, ['put', 'delete']);
});
