import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as s3 from '@aws-sdk/client-s3';
import { type Front, startFront } from './front.ts';
import { refused } from './refused.ts';

const Bucket = 'copies';
let front: Front;
let etag = '';
before(async () => {
  front = await startFront();
  await front.client.send(new s3.CreateBucketCommand({ Bucket }));
  const stored = await front.client.send(
    new s3.PutObjectCommand({
      Bucket,
      Key: 'from',
      Body: 'hello',
      ContentType: 'text/plain',
      Metadata: { a: 'b' },
      ChecksumAlgorithm: 'SHA256',
    }),
  );
  etag = stored.ETag!;
});
after(() => front[Symbol.asyncDispose]());

const copy = (more: Partial<s3.CopyObjectCommandInput> = {}) =>
  front.client.send(new s3.CopyObjectCommand({ Bucket, Key: 'to', CopySource: `${Bucket}/from`, ...more }));
const head = (Key: string) => front.client.send(new s3.HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));

test('a copy has the bytes, metadata and checksum of its source', async () => {
  const { CopyObjectResult: result } = await copy();
  assert.equal(result?.ETag, etag);
  assert.ok(result?.LastModified instanceof Date);
  assert.equal(result.ChecksumType, 'FULL_OBJECT');
  const [from, to] = [await head('from'), await head('to')];
  assert.equal(to.ContentType, 'text/plain');
  assert.deepEqual(to.Metadata, { a: 'b' });
  assert.equal(to.ChecksumSHA256, from.ChecksumSHA256);
  assert.equal(to.ChecksumSHA256, result.ChecksumSHA256);
  const read = await front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'to' }));
  assert.equal(await read.Body!.transformToString(), 'hello');
});

test('REPLACE takes the metadata of the request instead', async () => {
  await copy({ MetadataDirective: 'REPLACE', ContentType: 'text/x', Metadata: { c: 'd' } });
  const to = await head('to');
  assert.equal(to.ContentType, 'text/x');
  assert.deepEqual(to.Metadata, { c: 'd' });
  assert.equal(await refused(copy({ MetadataDirective: 'MERGE' as 'COPY' })), '400 InvalidArgument');
});

test('another checksum is computed when asked for', async () => {
  const { CopyObjectResult: result } = await copy({ ChecksumAlgorithm: 'CRC32' });
  assert.equal(result?.ChecksumCRC32, 'NhCmhg==');
  assert.equal((await head('to')).ChecksumSHA256, undefined);
});

test('a large source is streamed', async () => {
  const body = Buffer.alloc(5 * 1024 * 1024 + 3, 'large');
  await front.client.send(new s3.PutObjectCommand({ Bucket, Key: 'large', Body: body }));
  await copy({ CopySource: `${Bucket}/large` });
  const read = await front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'to' }));
  assert.ok(Buffer.from(await read.Body!.transformToByteArray()).equals(body));
});

test('an empty source too', async () => {
  await front.client.send(new s3.PutObjectCommand({ Bucket, Key: 'empty', Body: '' }));
  await copy({ CopySource: `${Bucket}/empty` });
  assert.equal((await head('to')).ContentLength, 0);
});

test('an object copied onto itself must change', async () => {
  const self = { Key: 'self', CopySource: `${Bucket}/self` };
  await front.client.send(new s3.PutObjectCommand({ Bucket, Key: 'self', Body: 'x' }));
  assert.equal(await refused(copy(self)), '400 InvalidRequest');
  assert.equal(await refused(copy({ ...self, MetadataDirective: 'REPLACE', Metadata: { new: '1' } })), 'done');
  assert.deepEqual((await head('self')).Metadata, { new: '1' });
  assert.equal(await refused(copy({ ...self, StorageClass: 'STANDARD_IA' })), 'done');
  assert.equal((await head('self')).StorageClass, 'STANDARD_IA');
});

test('a multipart source gets a checksum of the whole, in place of that of its parts', async () => {
  const Key = 'multi';
  const { UploadId } = await front.client.send(
    new s3.CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: 'CRC32' }),
  );
  const at = { Bucket, Key, UploadId, PartNumber: 1 };
  const { ETag, ChecksumCRC32 } = await front.client.send(new s3.UploadPartCommand({ ...at, Body: 'hello' }));
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag, ChecksumCRC32 }] };
  await front.client.send(new s3.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }));
  await copy({ CopySource: `${Bucket}/multi` });
  const to = await head('to');
  assert.equal(to.ETag, etag);
  assert.equal(to.ChecksumCRC32, 'NhCmhg==');
  assert.equal(to.ChecksumType, 'FULL_OBJECT');
});

describe('conditions', () => {
  const [early, late] = [new Date('2001-01-01'), new Date('2100-01-01')];
  const failed = '412 PreconditionFailed';
  const rows: [string, () => Partial<s3.CopyObjectCommandInput>, string][] = [
    ['the source is this', () => ({ CopySourceIfMatch: etag }), 'done'],
    ['the source is another', () => ({ CopySourceIfMatch: '"no"' }), failed],
    ['the source is not this', () => ({ CopySourceIfNoneMatch: etag }), failed],
    ['the source is not another', () => ({ CopySourceIfNoneMatch: '"no"' }), 'done'],
    ['the source changed since long ago', () => ({ CopySourceIfModifiedSince: early }), 'done'],
    ['the source changed since later', () => ({ CopySourceIfModifiedSince: late }), failed],
    ['the source is unchanged since long ago', () => ({ CopySourceIfUnmodifiedSince: early }), failed],
    ['the source is unchanged since later', () => ({ CopySourceIfUnmodifiedSince: late }), 'done'],
    ['this, though changed', () => ({ CopySourceIfMatch: etag, CopySourceIfUnmodifiedSince: early }), 'done'],
    ['this, and changed', () => ({ CopySourceIfNoneMatch: etag, CopySourceIfModifiedSince: early }), failed],
    [
      'the target is not there, but it is',
      () => ({ Key: 'from', MetadataDirective: 'REPLACE', IfNoneMatch: '*' }),
      failed,
    ],
    ['the target is not there', () => ({ Key: 'fresh', IfNoneMatch: '*' }), 'done'],
    ['the target is another', () => ({ Key: 'fresh', IfMatch: '"no"' }), failed],
  ];
  for (const [name, input, expected] of rows) {
    test(name, async () => assert.equal(await refused(copy(input())), expected));
  }
});

const sources: [string, string][] = [
  [`${Bucket}/nothing`, '404 NoSuchKey'],
  ['nowhere/from', '404 NoSuchBucket'],
  [`${Bucket}/from?versionId=nothing`, '404 NoSuchVersion'],
  [Bucket, '400 InvalidArgument'],
  [`${Bucket}/%ff`, '400 InvalidArgument'],
];
for (const [CopySource, expected] of sources) {
  test(`the source ${CopySource} is refused`, async () => {
    assert.equal(await refused(copy({ CopySource })), expected);
  });
}

test("a source in another's bucket than the client believes is refused", async () => {
  assert.equal(await refused(copy({ ExpectedSourceBucketOwner: 'somebody' })), '403 AccessDenied');
});
