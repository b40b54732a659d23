import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { recountSet } from '../../../storage-node/heal/recount.ts';
import { memoryDrives, setOf } from '../support/memory-set.ts';
import { getObject, kernels, objectNode, putObject } from '../support/object-node.ts';

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
const mib = 1024 * 1024;

for (const setSize of [4, 8, 12, 16]) {
  for (const size of [0, 1, 63, 64, 4096, 128 * 1024, 256 * 1024, 300_001, mib, mib + 1, 3 * mib + 12_345]) {
    test(`an object of ${size} bytes in a set of ${setSize} is read back by every node, whole and in ranges`, async () => {
      const drives = memoryDrives(setSize);
      const body = randomBytes(size);
      const written = await putObject(objectNode(setOf(drives, 0), 0), 'a/b', body, { declare: size % 2 === 0 });
      assert.equal(written.etag, md5(body));
      const reader = objectNode(setOf(drives, setSize - 1), setSize - 1);
      assert.ok((await getObject(reader, 'a/b')).equals(body));
      if (size > 2) {
        const [first, last] = [Math.floor(size / 3), Math.floor(size / 3) * 2];
        assert.ok((await getObject(reader, 'a/b', [first, last])).equals(body.subarray(first, last + 1)));
      }
    });
  }
}

test('memory of the arena is given back, whether an object is written, read, given up or refused', async () => {
  const node = objectNode(setOf(memoryDrives(4), 0), 0);
  const exercise = async (): Promise<void> => {
    for (const size of [0, 5_000, 200_000, 3 * mib + 1]) {
      await putObject(node, 'key', randomBytes(size), { declare: size % 2 === 0 });
      await getObject(node, 'key');
      const upload = await node.objects.put({
        bucket: 'photos',
        key: 'key',
        metadata: { headers: {}, user: {} },
        expectedBytes: undefined,
      });
      upload.write(randomBytes(size));
      upload.abort();
      await assert.rejects(putObject(node, 'key', randomBytes(size), { conditions: { ifMatch: ['other'] } }));
    }
  };
  // The first round also takes what kernels keep for themselves.
  await exercise();
  const before = kernels.arena.inUseBytes;
  await exercise();
  assert.equal(kernels.arena.inUseBytes, before);
});

for (const setSize of [4, 8]) {
  test(`with half of ${setSize} drives gone every object is right; with one more none is wrong`, async () => {
    const drives = memoryDrives(setSize);
    const writer = objectNode(setOf(drives, 0), 0);
    const bodies = [10, 5_000, 2 * mib + 7].map((size) => randomBytes(size));
    for (const [i, body] of bodies.entries()) await putObject(writer, `key${i}`, body);
    for (let gone = 0; gone < setSize / 2; gone++) drives[(gone * 2) % setSize]!.down = true;
    const reader = objectNode(setOf(drives, 1), 1);
    for (const [i, body] of bodies.entries()) assert.ok((await getObject(reader, `key${i}`)).equals(body));
    drives[1]!.down = true;
    for (const i of bodies.keys()) await assert.rejects(getObject(reader, `key${i}`));
  });
}

test('a flipped bit is never served: the block is taken from elsewhere and reported', async () => {
  const drives = memoryDrives(4);
  const node = objectNode(setOf(drives, 0), 0);
  for (const size of [3_000, 2 * mib]) {
    const body = randomBytes(size);
    await putObject(node, 'key', body);
    for (const drive of drives.slice(0, 2)) {
      for (const stored of drive.data.values()) stored.blocks[0]!.payload[5]! ^= 4;
    }
    assert.ok((await getObject(node, 'key')).equals(body));
    assert.ok(node.damaged.length > 0);
  }
});

test('shards that changed places are noticed', async () => {
  const drives = memoryDrives(4);
  const node = objectNode(setOf(drives, 0), 0);
  const body = randomBytes(50_000);
  await putObject(node, 'key', body);
  const [one, other] = [[...drives[0]!.data.values()][0]!, [...drives[1]!.data.values()][0]!];
  [one.blocks, other.blocks] = [other.blocks, one.blocks];
  assert.ok((await getObject(node, 'key')).equals(body));
});

test('conditions are judged against the object of the moment of the commit', async () => {
  const drives = memoryDrives(4);
  const node = objectNode(setOf(drives, 0), 0);
  const first = await putObject(node, 'key', Buffer.from('one'), { conditions: { ifNoneMatch: ['*'] } });
  await assert.rejects(putObject(node, 'key', Buffer.from('two'), { conditions: { ifNoneMatch: ['*'] } }), {
    code: 'PreconditionFailed',
  });
  await putObject(node, 'key', Buffer.from('three'), { conditions: { ifMatch: [first.etag] } });
  await assert.rejects(putObject(node, 'key', Buffer.from('four'), { conditions: { ifMatch: [first.etag] } }), {
    code: 'PreconditionFailed',
  });
  assert.equal((await getObject(node, 'key')).toString(), 'three');
});

test('of many nodes that create a key only if it is absent, exactly one succeeds', async () => {
  const drives = memoryDrives(4);
  const nodes = [0, 1, 2, 3].map((i) => objectNode(setOf(drives, i), i));
  const results = await Promise.allSettled(
    nodes.map((node, i) => putObject(node, 'key', Buffer.from(`n${i}`), { conditions: { ifNoneMatch: ['*'] } })),
  );
  const winners = results.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
  assert.equal(winners.length, 1);
  assert.equal((await getObject(nodes[3]!, 'key')).toString(), `n${winners[0]}`);
});

test('versions stay readable, a delete marker hides them, and removing it brings them back', async () => {
  const drives = memoryDrives(4);
  const node = objectNode(setOf(drives, 0), 0, { versioning: 'Enabled' });
  const one = await putObject(node, 'key', Buffer.from('one'));
  const two = await putObject(node, 'key', Buffer.alloc(2 * mib, 2));
  assert.notEqual(one.versionId, two.versionId);
  assert.equal((await getObject(node, 'key', undefined, one.versionId)).toString(), 'one');
  const marker = await node.objects.remove({ bucket: 'photos', key: 'key' });
  assert.equal(marker.deleteMarker, true);
  await assert.rejects(getObject(node, 'key'), { code: 'NoSuchKey' });
  await node.objects.remove({ bucket: 'photos', key: 'key', versionId: marker.versionId! });
  assert.equal((await getObject(node, 'key')).length, 2 * mib);
  await node.objects.remove({ bucket: 'photos', key: 'key', versionId: two.versionId! });
  assert.equal((await getObject(node, 'key')).toString(), 'one');
});

test('data of what was overwritten or removed is freed on every drive', async () => {
  const drives = memoryDrives(4);
  const node = objectNode(setOf(drives, 0), 0);
  await putObject(node, 'key', Buffer.from('one'));
  await putObject(node, 'key', randomBytes(2 * mib));
  await putObject(node, 'key', Buffer.from('three'));
  for (const drive of drives) assert.equal(drive.data.size, 1);
  await node.objects.remove({ bucket: 'photos', key: 'key' });
  for (const drive of drives) assert.equal(drive.data.size, 0);
});

for (const setSize of [4, 8]) {
  test(`a drive of ${setSize} that was replaced is whole again when a recount says so`, async () => {
    const drives = memoryDrives(setSize);
    const node = objectNode(setOf(drives, 0), 0);
    const bodies = [5, 4_096, 300_000, 2 * mib + 9].map((size) => randomBytes(size));
    for (const [i, body] of bodies.entries()) await putObject(node, `key${i}`, body);
    await putObject(node, 'gone', Buffer.from('x'));
    await node.objects.remove({ bucket: 'photos', key: 'gone' });
    const fresh = [...drives];
    fresh[2] = memoryDrives(1)[0]!;
    const after = objectNode(setOf(fresh, 0), 0);
    const before = await recountSet(after.heal, after.set, { verify: true, heal: false });
    assert.equal(before.short, bodies.length + 1);
    const healed = await recountSet(after.heal, after.set, { verify: true, heal: true });
    assert.equal(healed.shardsWritten, bodies.length);
    const proof = await recountSet(after.heal, after.set, { verify: true, heal: false });
    assert.deepEqual([proof.short, proof.shardsLacking, proof.complete], [0, 0, true]);
    // Now the healed drive is needed.
    for (let gone = 0, i = 0; gone < setSize / 2; i++) {
      if (i === 2) continue;
      fresh[i]!.down = true;
      gone += 1;
    }
    const last = fresh.findIndex(({ down }) => !down);
    const reader = objectNode(setOf(fresh, last), last);
    for (const [i, body] of bodies.entries()) assert.ok((await getObject(reader, `key${i}`)).equals(body));
    await assert.rejects(getObject(reader, 'gone'), { code: 'NoSuchKey' });
  });
}

test('a drive that slept through a delete does not bring the object back', async () => {
  const drives = memoryDrives(4);
  const node = objectNode(setOf(drives, 0), 0);
  await putObject(node, 'key', Buffer.from('old'));
  drives[3]!.down = true;
  await node.objects.remove({ bucket: 'photos', key: 'key' });
  drives[3]!.down = false;
  drives[0]!.down = true;
  const other = objectNode(setOf(drives, 3), 3);
  await assert.rejects(getObject(other, 'key'), { code: 'NoSuchKey' });
  drives[0]!.down = false;
  await recountSet(other.heal, other.set, { verify: false, heal: true });
  for (const drive of drives) assert.equal(drive.data.size, 0);
});
