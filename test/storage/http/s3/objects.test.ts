import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import * as s3 from '@aws-sdk/client-s3';
import { type Front, startFront } from './front.ts';
import { refused } from './refused.ts';

const Bucket = 'photos';
let front: Front;
before(async () => {
  front = await startFront();
  await front.client.send(new s3.CreateBucketCommand({ Bucket }));
});
after(() => front[Symbol.asyncDispose]());

async function put(Key: string, body: string | Buffer, more: Partial<s3.PutObjectCommandInput> = {}) {
  return front.client.send(new s3.PutObjectCommand({ Bucket, Key, Body: body, ...more }));
}

const bodyOf = async (output: { Body?: s3.GetObjectCommandOutput['Body'] | undefined }): Promise<string> =>
  (await output.Body?.transformToString()) ?? '';

test('an object comes back with all that was stored with it', async () => {
  const stored = await put('a', 'hello', {
    ContentType: 'text/plain',
    CacheControl: 'no-cache',
    ContentDisposition: 'inline',
    ContentLanguage: 'de',
    ContentEncoding: 'br',
    Metadata: { one: '1', two: 'zwei' },
    StorageClass: 'STANDARD_IA',
  });
  assert.equal(stored.ETag, `"${createHash('md5').update('hello').digest('hex')}"`);
  assert.equal(stored.ChecksumType, 'FULL_OBJECT');
  const read = await front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'a' }));
  assert.equal(await bodyOf(read), 'hello');
  const head = await front.client.send(new s3.HeadObjectCommand({ Bucket, Key: 'a', ChecksumMode: 'ENABLED' }));
  for (const answer of [read, head]) {
    assert.equal(answer.ETag, stored.ETag);
    assert.equal(answer.ContentLength, 5);
    assert.equal(answer.ContentType, 'text/plain');
    assert.equal(answer.CacheControl, 'no-cache');
    assert.equal(answer.ContentDisposition, 'inline');
    assert.equal(answer.ContentLanguage, 'de');
    assert.equal(answer.ContentEncoding, 'br');
    assert.equal(answer.StorageClass, 'STANDARD_IA');
    assert.equal(answer.AcceptRanges, 'bytes');
    assert.equal(answer.ChecksumCRC32, stored.ChecksumCRC32);
    assert.equal(answer.VersionId, undefined);
    assert.deepEqual(answer.Metadata, { one: '1', two: 'zwei' });
  }
});

test('an object without a type is binary/octet-stream, and STANDARD is not said', async () => {
  await front.send('PUT', `/${Bucket}/plain`, { body: 'x' });
  const answer = await front.send('HEAD', `/${Bucket}/plain`);
  assert.equal(answer.headers.get('content-type'), 'binary/octet-stream');
  assert.equal(answer.headers.get('x-amz-storage-class'), null);
  for (const method of ['GET', 'HEAD']) {
    assert.match((await front.send(method, `/${Bucket}/plain`)).headers.get('x-amz-request-id')!, /^[0-9A-F]{16}$/);
  }
});

for (const size of [0, 1, 4096, 1024 * 1024, 3 * 1024 * 1024 + 7]) {
  test(`${size} bytes come back as they were`, async () => {
    const body = Buffer.alloc(size, 'storage');
    await put('sized', body);
    const read = await front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'sized' }));
    const bytes = Buffer.from(await read.Body!.transformToByteArray());
    assert.equal(read.ContentLength, size);
    assert.ok(bytes.equals(body));
  });
}

describe('conditions on a read', () => {
  const [early, late] = [new Date('2001-01-01'), new Date('2100-01-01')];
  let etag = '';
  before(async () => {
    etag = (await put('cond', 'x')).ETag!;
  });
  const rows: [string, () => Partial<s3.GetObjectCommandInput>, string][] = [
    ['the right ETag', () => ({ IfMatch: etag }), 'done'],
    ['a wrong ETag', () => ({ IfMatch: '"no"' }), '412 PreconditionFailed'],
    ['any ETag', () => ({ IfMatch: '*' }), 'done'],
    ['not this ETag', () => ({ IfNoneMatch: etag }), '304 NotModified'],
    ['not another ETag', () => ({ IfNoneMatch: '"no"' }), 'done'],
    ['modified since long ago', () => ({ IfModifiedSince: early }), 'done'],
    ['modified since later', () => ({ IfModifiedSince: late }), '304 NotModified'],
    ['unmodified since long ago', () => ({ IfUnmodifiedSince: early }), '412 PreconditionFailed'],
    ['unmodified since later', () => ({ IfUnmodifiedSince: late }), 'done'],
    ['the right ETag, though modified', () => ({ IfMatch: etag, IfUnmodifiedSince: early }), 'done'],
    ['this ETag, though modified', () => ({ IfNoneMatch: etag, IfModifiedSince: early }), '304 NotModified'],
    ['another ETag, unmodified', () => ({ IfNoneMatch: '"no"', IfModifiedSince: late }), 'done'],
  ];
  for (const [name, input, expected] of rows) {
    test(name, async () => {
      const got = await refused(front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'cond', ...input() })));
      assert.equal(got.replace(/^304 .*/, '304 NotModified'), expected);
    });
  }

  test('304 shows ETag and time and has no body', async () => {
    const answer = await front.send('GET', `/${Bucket}/cond`, { headers: { 'if-none-match': etag } });
    assert.equal(answer.status, 304);
    assert.equal(answer.headers.get('etag'), etag);
    assert.ok(answer.headers.get('last-modified'));
    assert.equal(await answer.text(), '');
  });
});

describe('ranges', () => {
  before(() => put('range', '0123456789'));
  const rows: [string, number, string, string | null][] = [
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=8-', 206, '89', 'bytes 8-9/10'],
    ['bytes=8-100', 206, '89', 'bytes 8-9/10'],
    ['bytes=0-9', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=5-4', 200, '0123456789', null],
    ['bytes=0-1,3-4', 200, '0123456789', null],
    ['pages=1-2', 200, '0123456789', null],
  ];
  for (const [range, status, body, contentRange] of rows) {
    test(range, async () => {
      const answer = await front.send('GET', `/${Bucket}/range`, {
        headers: { range, 'x-amz-checksum-mode': 'ENABLED' },
      });
      assert.equal(answer.status, status);
      assert.equal(answer.headers.get('content-range'), contentRange);
      assert.equal(answer.headers.get('content-length'), String(body.length));
      // A checksum of the whole would be taken for one of these bytes.
      assert.equal(answer.headers.has('x-amz-checksum-crc32'), status === 200);
      assert.equal(await answer.text(), body);
      const head = await front.send('HEAD', `/${Bucket}/range`, { headers: { range } });
      assert.equal(head.status, status);
      assert.equal(head.headers.get('content-length'), String(body.length));
    });
  }

  test('a range past the end is refused with the size', async () => {
    const answer = await front.send('GET', `/${Bucket}/range`, { headers: { range: 'bytes=10-' } });
    assert.equal(answer.status, 416);
    assert.equal(answer.headers.get('content-range'), 'bytes */10');
    assert.match(await answer.text(), /<Code>InvalidRange<.*<ActualObjectSize>10</);
  });

  test('If-Range lets the range count only for the version the client knows', async () => {
    const { ETag } = await front.client.send(new s3.HeadObjectCommand({ Bucket, Key: 'range' }));
    const ask = async (condition: string): Promise<number> =>
      (await front.send('GET', `/${Bucket}/range`, { headers: { range: 'bytes=1-2', 'if-range': condition } })).status;
    assert.equal(await ask(ETag!), 206);
    assert.equal(await ask('"other"'), 200);
    assert.equal(await ask('Thu, 01 Jan 1970 00:00:00 GMT'), 200);
  });

  test('range and part number exclude each other; part 1 of a plain object is all of it', async () => {
    const both = await front.send('GET', `/${Bucket}/range?partNumber=1`, { headers: { range: 'bytes=0-1' } });
    assert.equal(both.status, 400);
    const first = await front.send('GET', `/${Bucket}/range?partNumber=1`);
    assert.equal(first.status, 206);
    assert.equal(first.headers.get('x-amz-mp-parts-count'), null);
    assert.equal((await front.send('GET', `/${Bucket}/range?partNumber=2`)).status, 416);
    assert.equal((await front.send('GET', `/${Bucket}/range?partNumber=0`)).status, 400);
  });
});

test('a request may ask for other headers', async () => {
  await put('override', 'x');
  const answer = await front.client.send(
    new s3.GetObjectCommand({
      Bucket,
      Key: 'override',
      ResponseContentType: 'text/x',
      ResponseContentDisposition: 'attachment; filename="ü.txt"',
      ResponseCacheControl: 'no-store',
    }),
  );
  assert.equal(answer.ContentType, 'text/x');
  assert.equal(answer.CacheControl, 'no-store');
  assert.equal(Buffer.from(answer.ContentDisposition!, 'latin1').toString(), 'attachment; filename="ü.txt"');
  const injected = await front.send('GET', `/${Bucket}/override?response-content-type=a%0d%0ax-evil:1`);
  assert.equal(injected.status, 400);
});

describe('conditions on a write', () => {
  test('If-None-Match: * makes an object once', async () => {
    assert.equal(await refused(put('once', '1', { IfNoneMatch: '*' })), 'done');
    assert.equal(await refused(put('once', '2', { IfNoneMatch: '*' })), '412 PreconditionFailed');
    assert.equal(await bodyOf(await front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'once' }))), '1');
  });

  test('If-Match replaces what the client knows', async () => {
    const { ETag } = await put('swap', '1');
    assert.equal(await refused(put('swap', '2', { IfMatch: ETag! })), 'done');
    assert.equal(await refused(put('swap', '3', { IfMatch: ETag! })), '412 PreconditionFailed');
    assert.equal(await refused(put('absent', '3', { IfMatch: ETag! })), '404 NoSuchKey');
  });

  test('of ten that make the same object one wins', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, i) => refused(put('race', String(i), { IfNoneMatch: '*' }))),
    );
    assert.equal(outcomes.filter((outcome) => outcome === 'done').length, 1);
  });
});

describe('bodies that are not what they claim', () => {
  test('another MD5', async () => {
    assert.equal(
      await refused(put('md5', 'x', { ContentMD5: createHash('md5').update('y').digest('base64') })),
      '400 BadDigest',
    );
    assert.equal(
      await refused(put('md5', 'x', { ContentMD5: createHash('md5').update('x').digest('base64') })),
      'done',
    );
  });

  test('another checksum', async () => {
    assert.equal(
      await refused(put('sum', 'x', { ChecksumSHA256: Buffer.alloc(32).toString('base64') })),
      '400 BadDigest',
    );
    assert.equal(await refused(front.client.send(new s3.HeadObjectCommand({ Bucket, Key: 'sum' }))), '404 NotFound');
  });

  test('more than 5 GiB are refused before they are sent', async () => {
    const headers = { 'content-length': String(5 * 1024 ** 3 + 1) };
    const answer = await front.send('PUT', `/${Bucket}/big`, { headers });
    assert.equal(answer.status, 400);
    assert.match(await answer.text(), /EntityTooLarge/);
  });
});

describe('deleting', () => {
  test('what is not there is deleted all the same', async () => {
    const answer = await front.send('DELETE', `/${Bucket}/never`);
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get('x-amz-delete-marker'), null);
  });

  test('only the version the client knows', async () => {
    const { ETag } = await put('if', 'x');
    const gone = (IfMatch: string) =>
      refused(front.client.send(new s3.DeleteObjectCommand({ Bucket, Key: 'if', IfMatch })));
    assert.equal(await gone('"other"'), '412 PreconditionFailed');
    assert.equal(await gone(ETag!), 'done');
  });

  test('many at once, each with its own conditions; quiet ones say only what failed', async () => {
    const { ETag } = await put('m1', 'x');
    await put('m2', 'y');
    const answer = await front.client.send(
      new s3.DeleteObjectsCommand({
        Bucket,
        Delete: { Objects: [{ Key: 'm1', ETag: ETag! }, { Key: 'm2', ETag: '"no"' }, { Key: 'm3' }] },
      }),
    );
    assert.deepEqual(
      answer.Deleted?.map(({ Key }) => Key),
      ['m1', 'm3'],
    );
    assert.deepEqual(
      answer.Errors?.map(({ Key, Code }) => [Key, Code]),
      [['m2', 'PreconditionFailed']],
    );
    const quiet = await front.client.send(
      new s3.DeleteObjectsCommand({ Bucket, Delete: { Quiet: true, Objects: [{ Key: 'm2' }] } }),
    );
    assert.equal(quiet.Deleted, undefined);
  });

  test('a thousand and not one more', async () => {
    const Objects = Array.from({ length: 1001 }, (_, i) => ({ Key: `k${i}` }));
    const send = (count: number) =>
      front.client.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: Objects.slice(0, count) } }));
    assert.equal((await send(1000)).Deleted?.length, 1000);
    assert.equal(await refused(send(1001)), '400 MalformedXML');
  });

  const documents = [
    '',
    '<Delete/>',
    '<Delete><Object/></Delete>',
    '<Delete><Object><Key></Key></Object></Delete>',
    '<Delete><Object><Key>a</Key><IfWhatever>b</IfWhatever></Object></Delete>',
    '<Delete><Quiet>perhaps</Quiet><Object><Key>a</Key></Object></Delete>',
    '<!DOCTYPE x><Delete><Object><Key>a</Key></Object></Delete>',
  ];
  for (const body of documents) {
    test(`the list ${body || 'of nothing'} is refused`, async () => {
      const headers = { 'content-md5': createHash('md5').update(body).digest('base64') };
      const answer = await front.send('POST', `/${Bucket}?delete`, { headers, body });
      assert.match(await answer.text(), /<Code>MalformedXML</);
    });
  }

  test('a list without a digest is refused', async () => {
    const answer = await front.send('POST', `/${Bucket}?delete`, { body: '<Delete/>' });
    assert.match(await answer.text(), /<Code>InvalidRequest<.*Content-MD5/);
  });
});

test('attributes are those asked for', async () => {
  await put('attributes', 'hello');
  const answer = await front.client.send(
    new s3.GetObjectAttributesCommand({
      Bucket,
      Key: 'attributes',
      ObjectAttributes: ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'],
    }),
  );
  assert.equal(answer.ETag, createHash('md5').update('hello').digest('hex'));
  assert.equal(answer.ObjectSize, 5);
  assert.equal(answer.StorageClass, 'STANDARD');
  assert.equal(answer.Checksum?.ChecksumType, 'FULL_OBJECT');
  assert.equal(answer.ObjectParts, undefined);
  assert.ok(answer.LastModified instanceof Date);
  const path = `/${Bucket}/attributes?attributes`;
  assert.equal((await front.send('GET', path)).status, 400);
  assert.equal((await front.send('GET', path, { headers: { 'x-amz-object-attributes': 'Colour' } })).status, 400);
});

test('a bucket or key that is not there, for every way to ask', async () => {
  const { client } = front;
  const nowhere = { Bucket: 'nowhere', Key: 'k' };
  assert.equal(await refused(client.send(new s3.GetObjectCommand(nowhere))), '404 NoSuchBucket');
  assert.equal(await refused(client.send(new s3.PutObjectCommand({ ...nowhere, Body: '' }))), '404 NoSuchBucket');
  assert.equal(await refused(client.send(new s3.HeadObjectCommand(nowhere))), '404 NotFound');
  assert.equal(await refused(client.send(new s3.DeleteObjectCommand(nowhere))), '404 NoSuchBucket');
  assert.equal(await refused(client.send(new s3.GetObjectCommand({ Bucket, Key: 'nothing' }))), '404 NoSuchKey');
  assert.equal(await refused(client.send(new s3.GetObjectTaggingCommand({ Bucket, Key: 'nothing' }))), '404 NoSuchKey');
});

test("a bucket that is another's than the client believes is refused", async () => {
  await put('owned', 'x');
  const get = (ExpectedBucketOwner: string) =>
    refused(front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'owned', ExpectedBucketOwner })));
  assert.equal(await get('root'), 'done');
  assert.equal(await get('somebody'), '403 AccessDenied');
});
