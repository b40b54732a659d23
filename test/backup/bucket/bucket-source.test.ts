import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { restoreBucket } from '../../../activities/backup/engine/restore-bucket.ts';
import { saveStream } from '../../../activities/backup/engine/save-stream.ts';
import type { BackupResult } from '../../../activities/backup/engine/backup.ts';
import { check } from '../../../activities/backup/engine/check.ts';
import type { Repository } from '../../../activities/backup/repository/attach.ts';
import type { Snapshot } from '../../../activities/backup/repository/snapshot.ts';
import { bucketEntries } from '../../../activities/backup/source/bucket.ts';
import { openObjects } from '../../../activities/objects/open.ts';
import { parseLocation } from '../../../activities/objects/location.ts';
import type { ObjectClient } from '../../../activities/objects/types.ts';
import { account, startCluster, type TestCluster } from '../../storage/support/dev-cluster.ts';
import { noise } from '../engine/world.ts';
import { initCheaply } from '../repository/support/repositories.ts';

let storage: TestCluster;
let dir: string;
let repository: Repository;
const clients: ObjectClient[] = [];

before(async () => {
  storage = await startCluster();
  dir = mkdtempSync(path.join(tmpdir(), 'muster-bucket-source-'));
  repository = await initCheaply(path.join(dir, 'repo'));
});
after(async () => {
  for (const client of clients) await client[Symbol.asyncDispose]();
  await repository.close();
  await storage[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

async function bucket(dialect: 's3' | 'oss', name: string): Promise<ObjectClient> {
  const place = `${dialect}://${name}?endpoint=${storage.cluster.endpoints[0]!}&region=us-east-1&pathStyle=true&credentials=X`;
  const env = { X_ACCESS_KEY_ID: account.user, X_SECRET_ACCESS_KEY: account.password };
  const client = openObjects(parseLocation(place, env), { env });
  clients.push(client);
  await client.createBucket();
  return client;
}

function save(
  client: ObjectClient,
  parent: Snapshot | null,
  isAskedAnew?: (key: string) => boolean,
): Promise<BackupResult> {
  const entries = bucketEntries({ client, ...(isAskedAnew !== undefined && { isAskedAnew }) });
  return saveStream({ repository, entries, paths: [`/${client.bucket}`], parent, threads: 2, host: 'test' });
}

/** Keys that no directory can hold as they are, or that are each other's directories. */
const oddKeys = [
  'plain',
  'a',
  'a/b',
  'a-b',
  'a//b',
  'a/',
  '/lead',
  'x/../y',
  './dot',
  'per%cent',
  'Grüße \u{1f600}',
  'tab\tnew',
];

async function contents(client: ObjectClient): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  const { objects } = await client.list();
  for (const { key } of objects) {
    const { info, bytes } = await client.getBytes(key);
    found.set(key, { bytes: bytes.toString('base64'), metadata: info.metadata, type: info.content.contentType });
  }
  return found;
}

for (const dialect of ['s3', 'oss'] as const) {
  test(`the objects of a bucket come back as they were, whatever their keys (${dialect})`, async () => {
    const source = await bucket(dialect, `source-${dialect}`);
    for (const [i, key] of oddKeys.entries()) {
      const content = { contentType: `text/x-${i}` };
      await source.put(key, Buffer.from(`content of ${key}`), {
        content,
        metadata: { number: String(i) },
      });
    }
    await source.put('empty', Buffer.alloc(0));
    await source.put('large', noise(6 * 2 ** 20));
    const saved = await save(source, null);
    assert.deepEqual([saved.kind, saved.problems], ['complete', []]);
    assert.equal(saved.counts.filesNew, oddKeys.length + 2);

    const target = await bucket(dialect, `target-${dialect}`);
    const options = { repository, snapshot: saved.snapshot, bucket: source.bucket, target };
    const restored = await restoreBucket(options);
    assert.deepEqual([restored.kind, restored.problems], ['complete', []]);
    assert.deepEqual(await contents(target), await contents(source));
  });
}

test('objects that are the same are not read again, and those that went are gone from the next snapshot', async () => {
  const source = await bucket('s3', 'source-s3');
  const first = await save(source, null);
  await source.put('plain', Buffer.from('another content'));
  await source.delete('a/b');
  const second = await save(source, first.snapshot);
  assert.deepEqual([second.counts.filesUnmodified, second.counts.filesChanged, second.counts.filesNew], [12, 1, 0]);
  const target = await bucket('s3', 'second-target');
  await restoreBucket({ repository, snapshot: second.snapshot, bucket: source.bucket, target });
  assert.deepEqual(await contents(target), await contents(source));
});

for (const dialect of ['s3', 'oss'] as const) {
  test(`of objects that are asked anew a change of tags is saved, without reading them (${dialect})`, async () => {
    const source = await bucket(dialect, `tagged-${dialect}`);
    const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`);
    for (const key of keys) await source.put(key, Buffer.from(key), { metadata: { key }, tags: { key } });
    const first = await save(source, null);
    await source.putTags('key-1', { changed: 'yes' });
    await source.putTags('key-2', {});
    const blind = await save(source, first.snapshot);
    assert.deepEqual([blind.counts.filesChanged, blind.snapshot.tree], [0, first.snapshot.tree]);
    const seeing = await save(source, first.snapshot, (key) => key !== 'key-2');
    assert.deepEqual([seeing.counts.filesChanged, seeing.counts.filesUnmodified], [1, 19]);
    assert.equal(seeing.added.data.storedBytes, 0);
    const last = await save(source, seeing.snapshot, () => true);
    assert.equal(last.counts.filesChanged, 1);
    assert.equal((await save(source, last.snapshot, () => true)).snapshot.tree, last.snapshot.tree);

    const target = await bucket(dialect, `tagged-target-${dialect}`);
    await restoreBucket({ repository, snapshot: last.snapshot, bucket: source.bucket, target });
    assert.deepEqual(await contents(target), await contents(source));
    for (const key of keys) assert.deepEqual(await target.getTags(key), await source.getTags(key), key);
  });
}

test('an object that is replaced or deleted before it is asked anew makes the backup partial, by name', async () => {
  const source = await bucket('s3', 'moving');
  for (const key of ['one', 'two', 'three']) await source.put(key, Buffer.from(key));
  const { snapshot: parent } = await save(source, null);
  const listed = bucketEntries({ client: source, isAskedAnew: () => true });
  const first = await listed.next();
  await source.put('three', Buffer.from('another'));
  await source.delete('two');
  async function* rest(): ReturnType<typeof bucketEntries> {
    yield first.value!;
    yield* listed;
  }
  const saved = await saveStream({ repository, entries: rest(), paths: ['/moving'], parent, threads: 1 });
  assert.deepEqual(
    [saved.kind, ...saved.problems.map(({ kind, path: at }) => `${kind} ${at}`).toSorted()],
    ['partial', 'changed /moving/three', 'vanished /moving/two'],
  );
});

test('with overwrite never, what is there stays', async () => {
  const source = await bucket('s3', 'source-s3');
  const { snapshot } = await save(source, null);
  const target = await bucket('s3', 'third-target');
  await target.put('plain', Buffer.from('newer'));
  const options = { repository, snapshot, bucket: source.bucket, target, overwrite: 'never' } as const;
  const result = await restoreBucket(options);
  assert.deepEqual([result.kind, result.counts.skipped], ['complete', 1]);
  assert.equal((await target.getBytes('plain')).bytes.toString(), 'newer');
});

test('an object that is deleted while the backup runs makes it partial, by name', async () => {
  const source = await bucket('s3', 'vanishing');
  for (const key of ['one', 'two', 'three']) await source.put(key, Buffer.from(key));
  const listed = bucketEntries({ client: source });
  const first = await listed.next();
  await source.delete('three');
  async function* rest(): ReturnType<typeof bucketEntries> {
    yield first.value!;
    yield* listed;
  }
  const saved = await saveStream({ repository, entries: rest(), paths: ['/vanishing'], parent: null, threads: 1 });
  assert.equal(saved.kind, 'partial');
  assert.deepEqual(
    saved.problems.map(({ kind, path: at }) => [kind, at]),
    [['vanished', '/vanishing/three']],
  );
});

test('the repository is intact after all of it', async () => {
  assert.equal((await check({ repository, read: { kind: 'all' }, threads: 2 })).kind, 'intact');
});
