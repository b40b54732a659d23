import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyObject, type Suite } from './store.ts';

/** Keys and versions in their order. */
export function describeListings({ name, open }: Suite): void {
  test(`${name}: lists by pages, prefixes, places to start and delimiters`, async () => {
    await using client = await open();
    const keys = Array.from({ length: 25 }, (_, i) => `folder-${i % 3}/key-${String(i).padStart(3, '0')}`);
    for (const key of keys) await client.put(key, Buffer.from('x'));
    const sorted = keys.toSorted();
    const paged = await everyObject(client, 4);
    assert.deepEqual(
      paged.map(({ key }) => key),
      sorted,
    );
    for (const { sizeBytes, etag, lastModifiedMs, storageClass } of paged) {
      assert.deepEqual([sizeBytes, etag.toLowerCase()], [1, '9dd4e461268c8034f5c8564e155c67a6']);
      assert.ok(Math.abs(lastModifiedMs - Date.now()) < 60_000 && storageClass !== '');
    }
    const after = await client.list({ startAfter: 'folder-1/key-010' });
    assert.deepEqual(
      after.objects.map(({ key }) => key),
      sorted.filter((key) => key > 'folder-1/key-010'),
    );
    const prefixed = await client.list({ prefix: 'folder-2/', maxKeys: 2 });
    assert.equal(prefixed.objects.length, 2);
    assert.ok(prefixed.continuation !== undefined);
    const folders = await client.list({ delimiter: '/' });
    assert.deepEqual([folders.objects, folders.commonPrefixes], [[], ['folder-0/', 'folder-1/', 'folder-2/']]);
    assert.deepEqual(await client.list({ prefix: 'nothing' }), { objects: [], commonPrefixes: [] });
  });

  test(`${name}: versions, delete markers and what lies below them`, async () => {
    await using client = await open({ versioned: true });
    assert.equal(await client.getVersioning(), 'enabled');
    const first = await client.put('object', Buffer.from('first'));
    const second = await client.put('object', Buffer.from('second'));
    const { versionId: marker, deleteMarker } = await client.delete('object');
    assert.ok(deleteMarker && marker !== undefined && first.versionId !== undefined);
    await client.put('other', Buffer.from('x'));
    await assert.rejects(client.getBytes('object'), { code: 'OBJECT_UNKNOWN' });
    await assert.rejects(client.head('object', { versionId: marker }), { code: 'OBJECT_UNKNOWN' });
    const old = await client.getBytes('object', { versionId: first.versionId });
    assert.deepEqual([old.bytes.toString(), old.info.versionId], ['first', first.versionId]);
    const one = await client.listVersions({ prefix: 'object', maxKeys: 2 });
    const rest = await client.listVersions({ prefix: 'object', marker: one.next! });
    const versions = [...one.versions, ...rest.versions];
    assert.deepEqual(
      versions.map((version) => [version.versionId, version.latest, version.deleteMarker]),
      [
        [marker, true, true],
        [second.versionId, false, false],
        [first.versionId, false, false],
      ],
    );
    assert.equal(rest.next, undefined);
    const removed = await client.deleteMany(versions.map(({ key, versionId }) => ({ key, versionId })));
    assert.deepEqual(new Set(removed.map(({ kind }) => kind)), new Set(['deleted']));
    assert.deepEqual((await client.listVersions({ prefix: 'object' })).versions, []);
    await client.setVersioning('suspended');
    assert.equal(await client.getVersioning(), 'suspended');
  });
}
