import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { checksumsOf } from '../../../activities/objects/checksum/hasher.ts';
import { combineChecksums } from '../../../activities/objects/checksum/values.ts';
import { type ObjectStoreError } from '../../../activities/objects/failure.ts';
import { type Checksums } from '../../../activities/objects/types.ts';
import { cut, everyKind, pieces, type Suite } from './store.ts';

/** Conditions, parts and copies. */
export function describeWrites({ name, traits, open }: Suite): void {
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
}

function onlyCrcs({ crc64nvme, crc64ecma }: Checksums): Checksums {
  return { crc64nvme: crc64nvme!, crc64ecma: crc64ecma! };
}
