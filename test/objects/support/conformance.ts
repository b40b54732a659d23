import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { checksumsOf } from '../../../activities/objects/checksum/hasher.ts';
import { combineChecksums, compareChecksums } from '../../../activities/objects/checksum/values.ts';
import { ObjectStoreError } from '../../../activities/objects/failure.ts';
import { compareKeys } from '../../../activities/objects/keys.ts';
import { openObjects } from '../../../activities/objects/open.ts';
import { type ObjectPlace } from '../../../activities/objects/place.ts';
import {
  type Checksums,
  type ListedObject,
  type ObjectBody,
  type ObjectClient,
} from '../../../activities/objects/types.ts';

/** What a server leaves out of its dialect, or has in its own way. */
export interface ServerTraits {
  tags: boolean;
  /** Object lock; undefined: nothing to ask. */
  objectLock: boolean;
  /** Keys this server will not take. */
  refusedKeys: RegExp;
  /** Keeps and answers a checksum of the whole object. */
  wholeChecksum: boolean;
  /** Smallest part but the last, where that is not what the dialect says, bytes. */
  minPartBytes?: number;
}

export interface Server {
  place(bucket: string): ObjectPlace;
}

const mebibyte = 2 ** 20;
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

/** The suite every server of either dialect has to pass. */
export function describeStore(name: string, server: () => Server, traits: ServerTraits): void {
  const open = async (options: { versioned?: boolean; lock?: boolean } = {}): Promise<ObjectClient> => {
    const client = openObjects(server().place(`t-${randomUUID().slice(0, 18)}`));
    await client.createBucket(options.lock === true ? { lock: true } : {});
    if (options.versioned === true) await client.setVersioning('enabled');
    return client;
  };

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

  test(`${name}: of two writers that meet on a new key exactly one wins`, async () => {
    await using client = await open();
    for (let round = 0; round < 8; round++) {
      const key = `lock-${round}`;
      const writers = Array.from({ length: 6 }, (_, i) => Buffer.from(`${round} ${i} ${randomUUID()}`));
      const outcomes = await Promise.allSettled(writers.map((bytes) => client.put(key, bytes, { ifAbsent: true })));
      const won = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
      assert.equal(won.length, 1);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') assert.equal((outcome.reason as ObjectStoreError).code, 'OBJECT_CHANGED');
      }
      assert.ok((await client.getBytes(key)).bytes.equals(writers[won[0]!]!));
    }
  });

  test(`${name}: conditions on the ETag`, async () => {
    await using client = await open();
    const first = await client.put('object', Buffer.from('1'));
    assert.ok((await client.getBytes('object', { ifMatch: first.etag })).bytes.equals(Buffer.from('1')));
    await client.put('object', Buffer.from('2'));
    await assert.rejects(client.getBytes('object', { ifMatch: first.etag }), { code: 'OBJECT_CHANGED' });
    await assert.rejects(client.head('object', { ifMatch: first.etag }), { code: 'OBJECT_CHANGED' });
    const late = client.put('object', Buffer.from('3'), { ifMatch: first.etag });
    await assert.rejects(late, { code: client.supports.putIfMatch ? 'OBJECT_CHANGED' : 'OBJECT_STORE_REFUSED' });
    if (!client.supports.putIfMatch) return;
    const { etag } = await client.head('object');
    await client.put('object', Buffer.from('4'), { ifMatch: etag });
    assert.equal((await client.getBytes('object')).bytes.toString(), '4');
  });

  test(`${name}: an object in parts is proved whole without reading it`, async () => {
    await using client = await open();
    const partBytes = traits.minPartBytes ?? client.supports.minPartBytes;
    const bytes = randomBytes(2 * partBytes + 1_000);
    const upload = await client.createUpload('parts', { metadata: { in: 'parts' }, content: { contentType: 'a/b' } });
    const cuts = cut(bytes, partBytes);
    const parts = [];
    for (const [i, piece] of cuts.entries()) {
      const body = i === 1 ? { sizeBytes: piece.length, open: () => pieces(cut(piece, 65_536)) } : piece;
      const checksums = checksumsOf([client.dialect === 's3' ? 'crc64nvme' : 'md5'], piece);
      parts.push(await client.uploadPart({ ...upload, partNumber: i + 1 }, body, { checksums }));
    }
    const listed = await client.listParts(upload, { maxParts: 2 });
    assert.deepEqual(
      listed.parts.map(({ partNumber, etag, sizeBytes }) => [partNumber, etag, sizeBytes]),
      parts.slice(0, 2).map(({ partNumber, etag, sizeBytes }) => [partNumber, etag, sizeBytes]),
    );
    assert.equal((await client.listParts(upload, { afterPart: listed.next! })).parts.length, 1);
    const { uploads } = await client.listUploads();
    assert.deepEqual(
      uploads.map(({ key, uploadId }) => [key, uploadId]),
      [['parts', upload.uploadId]],
    );
    const whole = checksumsOf(everyKind, bytes);
    const done = await client.completeUpload(upload, parts, { checksums: onlyCrcs(whole) });
    const { info, bytes: back } = await client.getBytes('parts');
    assert.ok(back.equals(bytes));
    assert.deepEqual([info.etag, info.metadata, info.content.contentType], [done.etag, { in: 'parts' }, 'a/b']);
    assert.equal(info.parts, 3);
    assert.equal(info.checksums.md5, undefined);
    if (!traits.wholeChecksum) return;
    const kind = client.supports.wholeChecksum;
    const combined = combineChecksums(
      cuts.map((piece) => ({ checksums: checksumsOf([kind], piece), sizeBytes: piece.length })),
    );
    assert.equal(info.checksums[kind], combined[kind]);
    assert.equal(done.checksums[kind], whole[kind]);
  });

  test(`${name}: an upload is given up, and completed only with its own parts`, async () => {
    await using client = await open();
    const upload = await client.createUpload('gone');
    const part = await client.uploadPart({ ...upload, partNumber: 1 }, Buffer.from('part'));
    const foreign = { ...part, etag: '0'.repeat(32), checksums: {} };
    await assert.rejects(client.completeUpload(upload, [foreign]), { serverCode: 'InvalidPart' });
    await client.abortUpload(upload);
    await client.abortUpload(upload);
    assert.deepEqual((await client.listUploads()).uploads, []);
    await assert.rejects(client.completeUpload(upload, [part]), { code: 'OBJECT_UNKNOWN', serverCode: 'NoSuchUpload' });
    await assert.rejects(client.head('gone'), { code: 'OBJECT_UNKNOWN' });
  });

  test(`${name}: a completion keeps to its condition`, async () => {
    await using client = await open();
    const upload = await client.createUpload('object');
    const part = await client.uploadPart({ ...upload, partNumber: 1 }, Buffer.from('late'));
    await client.put('object', Buffer.from('early'));
    await assert.rejects(client.completeUpload(upload, [part], { ifAbsent: true }), { code: 'OBJECT_CHANGED' });
    assert.equal((await client.getBytes('object')).bytes.toString(), 'early');
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

  test(`${name}: copies inside the store`, async () => {
    await using client = await open();
    const bytes = randomBytes(300_000);
    const put = await client.put('source ä+%/', bytes, { metadata: { from: 'here' }, content: { contentType: 'a/b' } });
    const copied = await client.copy({ key: 'source ä+%/', ifMatch: put.etag }, 'copy');
    const { info, bytes: back } = await client.getBytes('copy');
    assert.ok(back.equals(bytes));
    assert.deepEqual([info.etag, info.metadata, info.content.contentType], [copied.etag, { from: 'here' }, 'a/b']);
    await client.copy({ key: 'copy' }, 'changed', { replace: { metadata: { other: 'metadata' } } });
    assert.deepEqual((await client.head('changed')).metadata, { other: 'metadata' });
    await assert.rejects(client.copy({ key: 'copy', ifMatch: '0'.repeat(32) }, 'x'), { code: 'OBJECT_CHANGED' });
    await assert.rejects(client.copy({ key: 'nothing' }, 'x'), { code: 'OBJECT_UNKNOWN' });
    const upload = await client.createUpload('pieces', { checksum: false });
    const part = await client.copyPart({ ...upload, partNumber: 1 }, { key: 'copy', range: { first: 100, last: 299 } });
    await client.completeUpload(upload, [part]);
    assert.ok((await client.getBytes('pieces')).bytes.equals(bytes.subarray(100, 300)));
  });

  test(`${name}: what is missing, foreign or not allowed is said by name`, async () => {
    await using client = await open();
    const { place } = client;
    await assert.rejects(client.getBytes('nothing'), {
      code: 'OBJECT_UNKNOWN',
      message: /GET .*\/nothing at .*request /,
    });
    await assert.rejects(client.head('nothing'), { code: 'OBJECT_UNKNOWN' });
    assert.deepEqual((await client.delete('nothing')).deleteMarker, false);
    await using absent = openObjects({ ...place, bucket: 'no-such-bucket-here' });
    await assert.rejects(absent.list(), { code: 'BUCKET_UNKNOWN' });
    await assert.rejects(absent.put('key', Buffer.from('x')), { code: 'BUCKET_UNKNOWN' });
    await assert.rejects(absent.headBucket(), { code: 'BUCKET_UNKNOWN' });
    const { credentials } = place;
    assert.equal(credentials.kind, 'fixed');
    if (credentials.kind !== 'fixed') return;
    const secret = 'a-wrong-secret-that-must-not-show';
    for (const keys of [
      { ...credentials.credentials, secretAccessKey: secret },
      { ...credentials.credentials, accessKeyId: 'NOBODY' },
    ]) {
      await using stranger = openObjects({ ...place, credentials: { kind: 'fixed', credentials: keys } });
      const refused = (error: unknown): boolean => {
        assert.ok(error instanceof ObjectStoreError);
        assert.equal(error.code, 'CREDENTIALS_REFUSED');
        assert.ok(!`${error.message} ${String(error.stack)}`.includes(secret));
        return true;
      };
      await assert.rejects(stranger.list(), refused);
      await assert.rejects(stranger.head('object'), refused);
      await assert.rejects(stranger.headBucket(), refused);
      await assert.rejects(stranger.put('object', randomBytes(3 * mebibyte)), refused);
    }
  });

  test(`${name}: a clock that is wrong is called one, with both times`, async () => {
    await using client = await open();
    await using late = openObjects(client.place, { nowMs: () => Date.now() - 3_600_000 });
    await assert.rejects(late.list(), {
      code: 'CREDENTIALS_REFUSED',
      message: /clocks disagree.* the server has 20|GMT/,
    });
  });

  test(`${name}: buckets are made, found, and made again without harm`, async () => {
    await using client = await open();
    await client.createBucket();
    await client.headBucket();
    const buckets = await client.listBuckets();
    const own = buckets.find((bucket) => bucket.name === client.bucket);
    assert.ok(own !== undefined && Math.abs(own.createdAtMs - Date.now()) < 60_000);
    assert.equal(await client.getVersioning(), 'off');
    await client.put('object', Buffer.from('x'));
    await assert.rejects(client.deleteBucket(), { code: 'OBJECT_STORE_REFUSED', serverCode: 'BucketNotEmpty' });
    await client.delete('object');
    await client.deleteBucket();
    await assert.rejects(client.headBucket(), { code: 'BUCKET_UNKNOWN' });
  });

  test(`${name}: an abort ends a call at any point, and the connections serve on`, async () => {
    await using client = await open();
    await client.put('large', randomBytes(4 * mebibyte));
    const before = AbortSignal.abort(new Error('before it began'));
    await assert.rejects(client.getBytes('large', {}, { signal: before }), { message: 'before it began' });
    const during = new AbortController();
    const body = await client.get('large', {}, { signal: during.signal });
    const reading = gather(body);
    during.abort(new Error('under way'));
    await assert.rejects(reading, { message: 'under way' });
    const upload = new AbortController();
    const endless = {
      sizeBytes: 100 * mebibyte,
      open: async function* () {
        yield randomBytes(mebibyte);
        upload.abort(new Error('half-way'));
        for (;;) yield randomBytes(mebibyte);
      },
    };
    await assert.rejects(client.put('half', endless, {}, { signal: upload.signal }), { message: 'half-way' });
    for await (const chunk of await client.get('large')) {
      assert.ok(chunk.length > 0);
      break;
    }
    (await client.get('large')).cancel();
    await assert.rejects(client.head('half'), { code: 'OBJECT_UNKNOWN' });
    assert.equal((await client.getBytes('large')).bytes.length, 4 * mebibyte);
  });

  test(`${name}: tags`, async (t) => {
    await using client = await open();
    await client.put('object', Buffer.from('x'));
    const tags = { team: 'ops + more', 'a key:1': 'x/y@z=1' };
    if (!traits.tags) {
      await assert.rejects(client.putTags('object', tags), { code: 'OBJECT_STORE_REFUSED' });
      t.skip(`${name} keeps no tags`);
      return;
    }
    await client.putTags('object', tags);
    assert.deepEqual(await client.getTags('object'), tags);
    await client.put('tagged', Buffer.from('x'), { tags });
    assert.deepEqual(await client.getTags('tagged'), tags);
    assert.equal((await client.getBytes('tagged')).info.tagCount, 2);
    await client.putTags('object', {});
    assert.deepEqual(await client.getTags('object'), {});
  });

  test(`${name}: locks`, async (t) => {
    if (!traits.objectLock) {
      await using client = await open();
      const asked = client.putRetention('object', { mode: 'GOVERNANCE', untilMs: Date.now() + 60_000 });
      await assert.rejects(asked, { code: 'OBJECT_STORE_REFUSED' });
      t.skip(`${name} locks no objects`);
      return;
    }
    await using client = await open({ lock: true });
    assert.deepEqual(await client.getBucketLock(), { state: 'on' });
    const untilMs = Math.floor(Date.now() / 1000) * 1000 + 3_600_000;
    const put = await client.put('kept', Buffer.from('x'), { retention: { mode: 'GOVERNANCE', untilMs } });
    const version = { versionId: put.versionId! };
    assert.deepEqual(await client.getRetention('kept'), { mode: 'GOVERNANCE', untilMs });
    assert.deepEqual((await client.head('kept')).retention, { mode: 'GOVERNANCE', untilMs });
    await assert.rejects(client.delete('kept', version), { code: 'OBJECT_LOCKED' });
    const [outcome] = await client.deleteMany([{ key: 'kept', ...version }]);
    assert.equal(outcome!.kind, 'failed');
    const longer = { mode: 'GOVERNANCE' as const, untilMs: untilMs + 60_000 };
    await client.putRetention('kept', longer, version);
    assert.deepEqual(await client.getRetention('kept', version), longer);
    await client.put('held', Buffer.from('x'), { legalHold: true });
    assert.equal(await client.getLegalHold('held'), true);
    await client.putLegalHold('held', false);
    assert.equal(await client.getLegalHold('held'), false);
    await client.setBucketLock({ mode: 'GOVERNANCE', days: 1 });
    assert.deepEqual(await client.getBucketLock(), { state: 'on', mode: 'GOVERNANCE', days: 1 });
  });

  test(`${name}: an account's many small objects at once`, async () => {
    await using client = await open();
    const keys = Array.from({ length: 300 }, (_, i) => `small/${i}`);
    await Promise.all(keys.map((key) => client.put(key, Buffer.from(key))));
    const back = await Promise.all(keys.map((key) => client.getBytes(key)));
    assert.deepEqual(
      back.map(({ bytes }) => bytes.toString()),
      keys,
    );
  });
}

const everyKind = ['crc64nvme', 'crc64ecma', 'crc32', 'crc32c', 'md5', 'sha256'] as const;

function onlyCrcs({ crc64nvme, crc64ecma }: Checksums): Checksums {
  return { crc64nvme: crc64nvme!, crc64ecma: crc64ecma! };
}

function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

async function* pieces(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

async function gather(body: ObjectBody): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function everyObject(client: ObjectClient, maxKeys?: number): Promise<ListedObject[]> {
  const objects: ListedObject[] = [];
  let continuation: string | undefined;
  do {
    const page = await client.list({
      ...(maxKeys === undefined ? {} : { maxKeys }),
      ...(continuation === undefined ? {} : { continuation }),
    });
    objects.push(...page.objects);
    continuation = page.continuation;
  } while (continuation !== undefined);
  return objects;
}
