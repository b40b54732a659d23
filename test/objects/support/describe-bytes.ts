import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { checksumsOf } from '../../../activities/objects/checksum/hasher.ts';
import { compareChecksums } from '../../../activities/objects/checksum/values.ts';
import { compareKeys } from '../../../activities/objects/keys.ts';
import { cut, everyKind, everyObject, gather, mebibyte, pieces, type Suite } from './store.ts';

/** Names that some store, proxy or client of the past has mistreated. */
const oddKeys = [
  'plain',
  'with space',
  'plus+and%20percent',
  'a/b/c/d',
  'double//slash',
  'trailing/',
  '&<>"\'',
  '?question#hash',
  'semi;colon:at@equals=',
  'umlaut-äöü-漢字-😀',
  '\u{ff5e}fullwidth-before-emoji',
  'tab\tand\u007fdelete',
  '~!*()[]{}|\\^`',
  'e\u0301-decomposed',
  '\u00e9-composed',
  'x'.repeat(200),
  ...['.', '..', 'a/../b', './c'],
];

/** Bytes, and what is stored with them, go and come back. */
export function describeBytes({ name, traits, open }: Suite): void {
  test(`${name}: bytes, metadata and content headers come back as they went`, async () => {
    await using client = await open();
    const bytes = randomBytes(10_240);
    const metadata = {
      mtime: '1712345678.123',
      'with-dash': ' inner  spaces ',
      name: 'Grüße 漢字',
      odd: '=?UTF-8?B?eA==?=',
    };
    const content = {
      ...{ contentType: 'text/plain; charset=utf-8', contentEncoding: 'identity', cacheControl: 'max-age=60' },
      ...{ contentDisposition: 'attachment; filename="Grüße.txt"', contentLanguage: 'de' },
    };
    const put = await client.put('object', bytes, { content, metadata });
    assert.equal(put.readBack, false);
    const { info, bytes: back } = await client.getBytes('object');
    assert.ok(back.equals(bytes));
    assert.deepEqual(await client.head('object'), info);
    assert.deepEqual([info.key, info.sizeBytes, info.etag], ['object', bytes.length, put.etag]);
    assert.deepEqual(info.content, content);
    assert.deepEqual(info.metadata, { ...metadata, 'with-dash': 'inner  spaces' });
    assert.equal(compareChecksums(info.checksums, checksumsOf(everyKind, bytes)).kind, 'same');
    assert.ok(Math.abs(info.lastModifiedMs - Date.now()) < 60_000);
    assert.equal(info.archived, false);
  });

  test(`${name}: odd keys are kept, listed and deleted as they are`, async () => {
    await using client = await open();
    const keys = oddKeys.filter((key) => !traits.refusedKeys.test(key));
    for (const key of keys) await client.put(key, Buffer.from(key));
    for (const key of keys) assert.equal((await client.getBytes(key)).bytes.toString(), key);
    const listed = await everyObject(client);
    assert.deepEqual(
      listed.map(({ key }) => key),
      [...keys].sort(compareKeys),
    );
    const { commonPrefixes } = await client.list({ prefix: 'a/b/', delimiter: '/' });
    assert.deepEqual(commonPrefixes, ['a/b/c/']);
    const outcomes = await client.deleteMany(keys.map((key) => ({ key })));
    assert.deepEqual(
      outcomes.map(({ key, kind }) => [key, kind]),
      keys.map((key) => [key, 'deleted']),
    );
    assert.deepEqual(await everyObject(client), []);
  });

  test(`${name}: an empty object is an object`, async () => {
    await using client = await open();
    await client.put('empty', Buffer.alloc(0));
    await client.put('empty-stream', { sizeBytes: 0, open: () => pieces([]) });
    for (const key of ['empty', 'empty-stream']) {
      const { info, bytes } = await client.getBytes(key);
      assert.deepEqual([info.sizeBytes, bytes.length], [0, 0]);
      const body = await client.get(key);
      assert.equal(body.lengthBytes, 0);
      assert.equal((await gather(body)).length, 0);
      await assert.rejects(client.getBytes(key, { range: { first: 0 } }), { code: 'OBJECT_STORE_REFUSED' });
    }
  });

  test(`${name}: large bodies stream both ways, with what is known before, after, or not at all`, async () => {
    await using client = await open();
    const bytes = randomBytes(9 * mebibyte + 17);
    const known = checksumsOf([client.dialect === 's3' ? 'crc64nvme' : 'md5'], bytes);
    const stream = { sizeBytes: bytes.length, open: () => pieces(cut(bytes, 100_000)) };
    await client.put('before', stream, { checksums: known });
    await client.put('after', stream, { checksums: () => checksumsOf(everyKind, bytes) });
    await client.put('none', stream);
    await client.put('bytes', bytes);
    for (const key of ['before', 'after', 'none', 'bytes']) {
      const body = await client.get(key);
      assert.deepEqual([body.lengthBytes, body.info.sizeBytes], [bytes.length, bytes.length]);
      assert.ok((await gather(body)).equals(bytes), key);
    }
  });

  test(`${name}: ranges`, async () => {
    await using client = await open();
    const bytes = randomBytes(100_000);
    await client.put('object', bytes);
    const ranges = [
      { first: 0, last: 0 },
      { first: 10, last: 19 },
      { first: 99_999 },
      { first: 0 },
      { first: 90_000, last: 200_000 },
    ];
    for (const range of ranges) {
      const { info, bytes: part } = await client.getBytes('object', { range });
      assert.ok(part.equals(bytes.subarray(range.first, (range.last ?? bytes.length) + 1)), JSON.stringify(range));
      assert.equal(info.sizeBytes, bytes.length);
    }
    await assert.rejects(client.getBytes('object', { range: { first: 100_000 } }), {
      ...{ code: 'OBJECT_STORE_REFUSED', serverCode: 'InvalidRange' },
    });
  });

  test(`${name}: damage on the way is refused, and other bytes than announced`, async () => {
    await using client = await open();
    const bytes = Buffer.from('these bytes');
    const wrong = checksumsOf([client.dialect === 's3' ? 'crc64nvme' : 'md5'], Buffer.from('those bytes'));
    await assert.rejects(client.put('object', bytes, { checksums: wrong }), { code: 'CHECKSUM_MISMATCH' });
    const md5 = { md5: createHash('md5').update('those bytes').digest('hex') };
    await assert.rejects(client.put('object', bytes, { checksums: md5 }), { code: 'CHECKSUM_MISMATCH' });
    for (const sizeBytes of [10, 12]) {
      const body = { sizeBytes, open: () => pieces([bytes]) };
      await assert.rejects(client.put('object', body), { code: 'OBJECT_CHANGED' });
    }
    await assert.rejects(client.head('object'), { code: 'OBJECT_UNKNOWN' });
    // What is found out only behind the body is found out all the same.
    const late = client.put('object', bytes, { checksums: () => md5 });
    await assert.rejects(late, { code: 'CHECKSUM_MISMATCH' });
  });

  test(`${name}: a source that fails fails the put with its own error, and nothing is written`, async () => {
    await using client = await open();
    const broken = new Error('the source broke');
    const body = {
      sizeBytes: 500_000,
      open: async function* () {
        yield randomBytes(200_000);
        throw broken;
      },
    };
    await assert.rejects(client.put('object', body), broken);
    await assert.rejects(client.head('object'), { code: 'OBJECT_UNKNOWN' });
    await client.put('object', Buffer.from('the connections still work'));
  });
}
