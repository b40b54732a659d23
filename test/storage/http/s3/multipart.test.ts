import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import * as s3 from '@aws-sdk/client-s3';
import { createChecksum } from '../../../../storage-node/hash/checksums.ts';
import { type Front, startFront } from './front.ts';
import { refused } from './refused.ts';

const Bucket = 'parts';
const mebi5 = 5 * 1024 * 1024;
let front: Front;
before(async () => {
  front = await startFront();
  await front.client.send(new s3.CreateBucketCommand({ Bucket }));
});
after(() => front[Symbol.asyncDispose]());

const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();

async function begin(Key: string, more: Partial<s3.CreateMultipartUploadCommandInput> = {}): Promise<string> {
  const answer = await front.client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key, ...more }));
  return answer.UploadId!;
}

async function part(
  at: { Key: string; UploadId: string },
  PartNumber: number,
  Body: Buffer,
): Promise<s3.CompletedPart> {
  const answer = await front.client.send(new s3.UploadPartCommand({ Bucket, ...at, PartNumber, Body }));
  const { ETag, ChecksumCRC32, ChecksumCRC64NVME } = answer;
  return { PartNumber, ETag, ChecksumCRC32, ChecksumCRC64NVME };
}

function complete(
  at: { Key: string; UploadId: string },
  Parts: s3.CompletedPart[],
  more: Partial<s3.CompleteMultipartUploadCommandInput> = {},
) {
  return front.client.send(
    new s3.CompleteMultipartUploadCommand({ Bucket, ...at, MultipartUpload: { Parts }, ...more }),
  );
}

const bodies = [Buffer.alloc(mebi5, 'a'), Buffer.alloc(mebi5, 'b'), Buffer.from('the end')];

async function upload(Key: string, more: Partial<s3.CreateMultipartUploadCommandInput> = {}) {
  const at = { Key, UploadId: await begin(Key, more) };
  const parts = await Promise.all(bodies.map((body, i) => part(at, i + 1, body)));
  return { at, parts };
}

test('an object of three parts', async () => {
  const { at, parts } = await upload('three', { ContentType: 'text/plain', Metadata: { a: 'b' } });
  const done = await complete(at, parts);
  const etag = `"${md5(Buffer.concat(bodies.map(md5))).toString('hex')}-3"`;
  assert.equal(done.ETag, etag);
  assert.equal(done.Bucket, Bucket);
  assert.equal(done.Key, 'three');
  assert.equal(done.Location, `${front.endpoint}/${Bucket}/three`);
  const read = await front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'three' }));
  assert.ok(Buffer.from(await read.Body!.transformToByteArray()).equals(Buffer.concat(bodies)));
  assert.equal(read.ETag, etag);
  assert.equal(read.ContentType, 'text/plain');
  assert.deepEqual(read.Metadata, { a: 'b' });

  const second = await front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'three', PartNumber: 2 }));
  assert.equal(second.PartsCount, 3);
  assert.equal(second.ContentRange, `bytes ${mebi5}-${2 * mebi5 - 1}/${2 * mebi5 + 7}`);
  assert.ok(Buffer.from(await second.Body!.transformToByteArray()).equals(bodies[1]!));
  const head = await front.client.send(new s3.HeadObjectCommand({ Bucket, Key: 'three', PartNumber: 3 }));
  assert.equal(head.ContentLength, 7);
  assert.equal(
    await refused(front.client.send(new s3.HeadObjectCommand({ Bucket, Key: 'three', PartNumber: 4 }))),
    '416 Unknown',
  );
});

test('a completion may be repeated and says the same', async () => {
  const { at, parts } = await upload('again');
  const more = { MpuObjectSize: 2 * mebi5 + 7 };
  const [first, second] = [await complete(at, parts, more), await complete(at, parts, more)];
  assert.equal(second.ETag, first.ETag);
  assert.equal(await refused(complete(at, parts.slice(0, 1))), '404 NoSuchUpload');
});

test('the checksum of all parts, and each of them, can be asked for', async () => {
  const { at, parts } = await upload('summed', { ChecksumAlgorithm: 'CRC32' });
  const done = await complete(at, parts);
  const digest = createChecksum('CRC32');
  for (const { ChecksumCRC32 } of parts) digest.update(Buffer.from(ChecksumCRC32!, 'base64'));
  assert.equal(done.ChecksumType, 'COMPOSITE');
  assert.equal(done.ChecksumCRC32, `${Buffer.from(digest.digest()).toString('base64')}-3`);
  const asked = { Bucket, Key: 'summed', ObjectAttributes: ['Checksum', 'ObjectParts'] as s3.ObjectAttributes[] };
  const all = await front.client.send(new s3.GetObjectAttributesCommand(asked));
  assert.equal(all.ObjectParts?.TotalPartsCount, 3);
  assert.deepEqual(
    all.ObjectParts?.Parts?.map(({ PartNumber, Size, ChecksumCRC32 }) => [PartNumber, Size, ChecksumCRC32]),
    bodies.map((body, i) => [i + 1, body.length, parts[i]!.ChecksumCRC32]),
  );
  const paged = await front.client.send(
    new s3.GetObjectAttributesCommand({ ...asked, MaxParts: 1, PartNumberMarker: '1' }),
  );
  assert.deepEqual(
    paged.ObjectParts?.Parts?.map(({ PartNumber }) => PartNumber),
    [2],
  );
  assert.equal(paged.ObjectParts?.IsTruncated, true);
  assert.equal(paged.ObjectParts?.NextPartNumberMarker, '2');
  const second = await front.send('GET', `/${Bucket}/summed?partNumber=2`, {
    headers: { 'x-amz-checksum-mode': 'ENABLED' },
  });
  assert.equal(second.headers.get('x-amz-checksum-crc32'), parts[1]!.ChecksumCRC32);
});

describe('a checksum of the whole object', () => {
  const digest = createChecksum('CRC64NVME');
  for (const body of bodies) digest.update(body);
  const whole = Buffer.from(digest.digest()).toString('base64');

  /** An upload whose parts came without checksums of their own. */
  async function bare(Key: string) {
    const at = { Key, UploadId: await begin(Key, { ChecksumAlgorithm: 'CRC64NVME', ChecksumType: 'FULL_OBJECT' }) };
    const parts: s3.CompletedPart[] = [];
    for (const [i, body] of bodies.entries()) {
      const path = `/${Bucket}/${Key}?partNumber=${i + 1}&uploadId=${at.UploadId}`;
      const answer = await front.send('PUT', path, { body: body.toString() });
      assert.ok(answer.headers.get('x-amz-checksum-crc64nvme'));
      parts.push({ PartNumber: i + 1, ETag: answer.headers.get('etag')! });
    }
    return { at, parts };
  }

  test('is computed from the parts, also from those sent without one', async () => {
    const { at, parts } = await bare('whole');
    const done = await complete(at, parts);
    assert.equal(done.ChecksumCRC64NVME, whole);
    assert.equal(done.ChecksumType, 'FULL_OBJECT');
  });

  test('must be what the client claims', { todo: 'the server takes the claim for one about the body' }, async () => {
    const { at, parts } = await bare('claimed');
    const wrong = complete(at, parts, { ChecksumCRC64NVME: 'AAAAAAAAAAA=' });
    assert.equal(await refused(wrong), '400 BadDigest');
    assert.equal(await refused(complete(at, parts, { ChecksumCRC64NVME: whole })), 'done');
  });
});

test('a part summed up another way than its upload is refused', async () => {
  const at = { Key: 'mixed', UploadId: await begin('mixed', { ChecksumAlgorithm: 'SHA256' }) };
  const sent = front.client.send(
    new s3.UploadPartCommand({ Bucket, ...at, PartNumber: 1, Body: 'x', ChecksumAlgorithm: 'CRC32C' }),
  );
  assert.equal(await refused(sent), '400 InvalidRequest');
});

describe('a completion is refused', () => {
  let at: { Key: string; UploadId: string };
  let parts: s3.CompletedPart[];
  before(async () => {
    ({ at, parts } = await upload('refused'));
  });

  test('in another order than that of the numbers', async () => {
    assert.equal(await refused(complete(at, parts.toReversed())), '400 InvalidPartOrder');
  });
  test('with a part that was not sent or has another ETag', async () => {
    assert.equal(await refused(complete(at, [...parts, { PartNumber: 9, ETag: '"x"' }])), '400 InvalidPart');
    assert.equal(await refused(complete(at, [{ PartNumber: 1, ETag: '"x"' }])), '400 InvalidPart');
  });
  test('with a small part that is not the last', async () => {
    const small = { Key: 'small', UploadId: await begin('small') };
    const both = [await part(small, 1, Buffer.from('x')), await part(small, 2, Buffer.from('y'))];
    assert.equal(await refused(complete(small, both)), '400 EntityTooSmall');
  });
  test('when the size is another', async () => {
    assert.equal(await refused(complete(at, parts, { MpuObjectSize: 5 })), '400 InvalidRequest');
  });
  test('when the conditions do not hold, and may be tried again', async () => {
    await front.client.send(new s3.PutObjectCommand({ Bucket, Key: at.Key, Body: 'there' }));
    assert.equal(await refused(complete(at, parts, { IfNoneMatch: '*' })), '412 PreconditionFailed');
    assert.equal(await refused(complete(at, parts)), 'done');
  });

  const documents = [
    '',
    '<CompleteMultipartUpload/>',
    '<CompleteMultipartUpload><Part/></CompleteMultipartUpload>',
    '<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>',
    '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>',
    '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag><Odd/></Part></CompleteMultipartUpload>',
    `<CompleteMultipartUpload>${'<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>'.repeat(10_001)}</CompleteMultipartUpload>`,
  ];
  for (const body of documents) {
    test(`with the document '${body.slice(0, 110)}'`, async () => {
      const answer = await front.send('POST', `/${Bucket}/x?uploadId=${at.UploadId}`, { body });
      assert.equal(answer.status, 400);
      assert.match(await answer.text(), /<Code>MalformedXML</);
    });
  }
});

test('of a part number sent twice the last counts', async () => {
  const at = { Key: 'twice', UploadId: await begin('twice') };
  const first = await part(at, 1, Buffer.from('first'));
  const last = await part(at, 1, Buffer.from('last'));
  assert.equal(await refused(complete(at, [first])), '400 InvalidPart');
  await complete(at, [last]);
  const read = await front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'twice' }));
  assert.equal(await read.Body!.transformToString(), 'last');
});

test('part numbers outside 1 to 10,000 are refused', async () => {
  const at = { Key: 'numbers', UploadId: await begin('numbers') };
  for (const number of [0, 10_001])
    assert.equal(await refused(part(at, number, Buffer.from('x'))), '400 InvalidArgument');
  assert.equal(await refused(part(at, 10_000, Buffer.from('x'))), 'done');
});

test('a PUT that names only an upload or only a part number writes nothing', async () => {
  const UploadId = await begin('half');
  for (const query of [`uploadId=${UploadId}`, 'partNumber=1']) {
    for (const headers of [{}, { 'x-amz-copy-source': `${Bucket}/half` }] as Record<string, string>[]) {
      assert.equal((await front.send('PUT', `/${Bucket}/half?${query}`, { headers, body: 'x' })).status, 400);
    }
  }
  assert.equal((await front.send('HEAD', `/${Bucket}/half`)).status, 404);
});

test('an upload that was ended or never begun is not there', async () => {
  const at = { Key: 'ended', UploadId: await begin('ended') };
  await part(at, 1, Buffer.from('x'));
  await front.client.send(new s3.AbortMultipartUploadCommand({ Bucket, ...at }));
  for (const UploadId of [at.UploadId, 'made-up']) {
    const gone = { Key: 'ended', UploadId };
    assert.equal(await refused(part(gone, 1, Buffer.from('x'))), '404 NoSuchUpload');
    assert.equal(await refused(front.client.send(new s3.ListPartsCommand({ Bucket, ...gone }))), '404 NoSuchUpload');
    assert.equal(await refused(complete(gone, [{ PartNumber: 1, ETag: 'x' }])), '404 NoSuchUpload');
    const ended = front.client.send(new s3.AbortMultipartUploadCommand({ Bucket, ...gone }));
    assert.equal(await refused(ended), '404 NoSuchUpload');
  }
});

describe('parts copied from an object', () => {
  before(() => front.client.send(new s3.PutObjectCommand({ Bucket, Key: 'from', Body: '0123456789' })));

  test('whole and by range', async () => {
    const at = { Key: 'copied', UploadId: await begin('copied', { ChecksumAlgorithm: 'CRC32' }) };
    const copy = { Bucket, ...at, PartNumber: 1, CopySource: `${Bucket}/from` };
    const whole = await front.client.send(new s3.UploadPartCopyCommand(copy));
    assert.equal(whole.CopyPartResult?.ETag, `"${md5(Buffer.from('0123456789')).toString('hex')}"`);
    const some = await front.client.send(new s3.UploadPartCopyCommand({ ...copy, CopySourceRange: 'bytes=2-4' }));
    const { ETag, ChecksumCRC32 } = some.CopyPartResult!;
    assert.ok(ChecksumCRC32);
    await complete(at, [{ PartNumber: 1, ETag, ChecksumCRC32 }]);
    const read = await front.client.send(new s3.GetObjectCommand({ Bucket, Key: 'copied' }));
    assert.equal(await read.Body!.transformToString(), '234');
  });

  const ranges: [string, string][] = [
    ['bytes=0-10', '416 InvalidRange'],
    ['0-2', '400 InvalidArgument'],
    ['bytes=0-2,3-5', '400 InvalidArgument'],
  ];
  for (const [CopySourceRange, expected] of ranges) {
    test(`the range ${CopySourceRange} is refused`, async () => {
      const at = { Key: 'bad-range', UploadId: await begin('bad-range') };
      const CopySource = `${Bucket}/from`;
      const sent = new s3.UploadPartCopyCommand({ Bucket, ...at, PartNumber: 1, CopySource, CopySourceRange });
      assert.equal(await refused(front.client.send(sent)), expected);
    });
  }
});

describe('listing', () => {
  test('parts, page by page', async () => {
    const at = {
      Key: 'list',
      UploadId: await begin('list', { ChecksumAlgorithm: 'CRC32', StorageClass: 'STANDARD_IA' }),
    };
    for (const number of [1, 2, 7]) await part(at, number, Buffer.from(`part ${number}`));
    const first = await front.client.send(new s3.ListPartsCommand({ Bucket, ...at, MaxParts: 2 }));
    assert.deepEqual(
      first.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size]),
      [
        [1, 6],
        [2, 6],
      ],
    );
    assert.equal(first.IsTruncated, true);
    assert.equal(first.NextPartNumberMarker, '2');
    assert.equal(first.StorageClass, 'STANDARD_IA');
    assert.equal(first.ChecksumAlgorithm, 'CRC32');
    assert.equal(first.ChecksumType, 'COMPOSITE');
    assert.ok(first.Parts?.[0]?.ChecksumCRC32);
    const rest = await front.client.send(new s3.ListPartsCommand({ Bucket, ...at, PartNumberMarker: '2' }));
    assert.deepEqual(
      rest.Parts?.map(({ PartNumber }) => PartNumber),
      [7],
    );
    assert.equal(rest.IsTruncated, false);
    const none = await front.client.send(new s3.ListPartsCommand({ Bucket, ...at, MaxParts: 0 }));
    assert.equal(none.Parts, undefined);
  });

  test('uploads, page by page and rolled up', async () => {
    const bucket = 'uploads';
    await front.client.send(new s3.CreateBucketCommand({ Bucket: bucket }));
    const ids: string[] = [];
    for (const Key of ['a', 'a', 'b/1', 'b/2', 'c d']) {
      const answer = await front.client.send(new s3.CreateMultipartUploadCommand({ Bucket: bucket, Key }));
      ids.push(answer.UploadId!);
    }
    const list = (more: Partial<s3.ListMultipartUploadsCommandInput>) =>
      front.client.send(new s3.ListMultipartUploadsCommand({ Bucket: bucket, ...more }));
    const all = await list({});
    assert.deepEqual(all.Uploads?.map(({ UploadId }) => UploadId).toSorted(), ids.toSorted());
    const rolled = await list({ Delimiter: '/' });
    assert.deepEqual(rolled.CommonPrefixes, [{ Prefix: 'b/' }]);
    assert.deepEqual(
      rolled.Uploads?.map(({ Key }) => Key),
      ['a', 'a', 'c d'],
    );
    const seen: string[] = [];
    let at: Partial<s3.ListMultipartUploadsCommandInput> = {};
    for (let more = true; more;) {
      const page = await list({ MaxUploads: 2, ...at });
      seen.push(...(page.Uploads ?? []).map(({ UploadId }) => UploadId!));
      more = page.IsTruncated === true;
      at = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
    assert.deepEqual(seen.toSorted(), ids.toSorted());
    assert.equal((await list({ EncodingType: 'url', Prefix: 'c' })).Uploads?.[0]?.Key, 'c%20d');
  });
});
