import assert from 'node:assert/strict';
import { type ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { StorageError } from '../../../../storage-node/errors.ts';
import { type ParsedRequest } from '../../../../storage-node/http/operation.ts';
import { ossOperations } from '../../../../storage-node/http/oss/index.ts';
import { refusedInOss, renamed, speakOss, toOss, toS3 } from '../../../../storage-node/http/oss/translate.ts';
import { s3Operations } from '../../../../storage-node/http/s3/index.ts';
import { S3Error } from '../../../../storage-node/http/s3-error.ts';

function asked(headers: Record<string, string>): ParsedRequest {
  const query = new Map([['versionId', 'x-oss-1']]);
  return { dialect: 'oss', method: 'PUT', bucket: 'x-oss-b', key: 'x-oss-k', query, headers, requestId: 'R' };
}

describe('a request in OSS words becomes one in S3 words', () => {
  const rows: { name: string; oss: Record<string, string>; s3: Record<string, string> }[] = [
    { name: 'nothing', oss: {}, s3: {} },
    {
      name: 'headers of both',
      oss: { range: 'bytes=0-1', 'if-match': '"a"', 'content-type': 'text/plain' },
      s3: { range: 'bytes=0-1', 'if-match': '"a"', 'content-type': 'text/plain' },
    },
    {
      name: 'metadata',
      oss: { 'x-oss-meta-colour': 'blue', 'x-oss-meta-x-oss-a': 'x-oss-b' },
      s3: { 'x-amz-meta-colour': 'blue', 'x-amz-meta-x-oss-a': 'x-oss-b' },
    },
    {
      name: 'the source of a copy and its conditions',
      oss: {
        'x-oss-copy-source': '/a/b',
        'x-oss-copy-source-if-match': '"a"',
        'x-oss-copy-source-if-none-match': '"b"',
        'x-oss-copy-source-if-modified-since': 'c',
        'x-oss-copy-source-if-unmodified-since': 'd',
        'x-oss-copy-source-range': 'bytes=0-1',
      },
      s3: {
        'x-amz-copy-source': '/a/b',
        'x-amz-copy-source-if-match': '"a"',
        'x-amz-copy-source-if-none-match': '"b"',
        'x-amz-copy-source-if-modified-since': 'c',
        'x-amz-copy-source-if-unmodified-since': 'd',
        'x-amz-copy-source-range': 'bytes=0-1',
      },
    },
    {
      name: 'what a copy keeps',
      oss: { 'x-oss-metadata-directive': 'REPLACE' },
      s3: { 'x-amz-metadata-directive': 'REPLACE' },
    },
    { name: 'the usual class', oss: { 'x-oss-storage-class': 'Standard' }, s3: { 'x-amz-storage-class': 'STANDARD' } },
    {
      name: 'the class for what is seldom read',
      oss: { 'x-oss-storage-class': 'IA' },
      s3: { 'x-amz-storage-class': 'STANDARD_IA' },
    },
    {
      name: 'a class that S3 does not have, to be refused there',
      oss: { 'x-oss-storage-class': 'ColdArchive' },
      s3: { 'x-amz-storage-class': 'ColdArchive' },
    },
    { name: 'a word that must not overwrite', oss: { 'x-oss-forbid-overwrite': 'true' }, s3: { 'if-none-match': '*' } },
    { name: 'a word that may overwrite', oss: { 'x-oss-forbid-overwrite': 'false' }, s3: {} },
    {
      name: 'encryption, to be refused there',
      oss: { 'x-oss-server-side-encryption': 'KMS', 'x-oss-server-side-encryption-key-id': 'id' },
      s3: { 'x-amz-server-side-encryption': 'KMS', 'x-amz-server-side-encryption-aws-kms-key-id': 'id' },
    },
    {
      name: 'tags, and what a copy does about them',
      oss: { 'x-oss-tagging': 'a=b', 'x-oss-tagging-directive': 'Replace' },
      s3: { 'x-amz-tagging': 'a=b', 'x-amz-tagging-directive': 'REPLACE' },
    },
    {
      name: 'what proved the request, and is done with',
      oss: {
        'x-oss-date': 'now',
        'x-oss-content-sha256': 'UNSIGNED-PAYLOAD',
        'x-oss-security-token': 'token',
        'x-oss-user-agent': 'sdk',
      },
      s3: {},
    },
  ];
  for (const { name, oss, s3 } of rows) test(name, () => assert.deepEqual(toS3(asked(oss)).headers, s3));

  test('with nothing but its headers changed, and none of OSS left', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-', 'x-oss-', 'x-amz-', 'meta-'), maxLength: 5 });
    fc.assert(
      fc.property(fc.dictionary(name, fc.string()), (headers) => {
        const request = asked({ ...headers });
        const { headers: translated, ...others } = toS3(request);
        const { headers: _, ...before } = request;
        assert.deepEqual(others, before);
        assert.deepEqual(request.headers, { ...headers }, 'the request itself is left alone');
        assert.deepEqual(
          Object.keys(translated).filter((one) => one.startsWith('x-oss-')),
          [],
        );
        for (const [one, value] of Object.entries(headers)) {
          if (!one.startsWith('x-oss-') && !one.startsWith('x-amz-')) assert.equal(translated[one], value);
        }
      }),
    );
  });
});

describe('an answer in S3 words becomes one in OSS words', () => {
  const xml = '<?xml version="1.0" encoding="UTF-8"?>\n';
  const space = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
  const rows: { name: string; s3: string; oss: string }[] = [
    { name: 'its namespace goes', s3: `${xml}<A${space}><B/></A>`, oss: `${xml}<A><B/></A>` },
    { name: "only the document's own goes", s3: `${xml}<A${space}><B${space}/></A>`, oss: `${xml}<A><B${space}/></A>` },
    ...(
      [
        ['STANDARD', 'Standard'],
        ['REDUCED_REDUNDANCY', 'Standard'],
        ['INTELLIGENT_TIERING', 'Standard'],
        ['STANDARD_IA', 'IA'],
        ['ONEZONE_IA', 'IA'],
        ['GLACIER_IR', 'IA'],
      ] as const
    ).map(([s3, oss]) => ({
      name: `the class ${s3} is ${oss}`,
      s3: `<A><StorageClass>${s3}</StorageClass><Key>STANDARD</Key><StorageClass>${s3}</StorageClass></A>`,
      oss: `<A><StorageClass>${oss}</StorageClass><Key>STANDARD</Key><StorageClass>${oss}</StorageClass></A>`,
    })),
  ];
  for (const { name, s3, oss } of rows) {
    for (const body of [s3, Buffer.from(s3)]) {
      test(`${name}, in ${typeof body === 'string' ? 'text' : 'bytes'}`, () => {
        const answer = toOss({ status: 200, headers: { 'x-amz-version-id': '1' }, body });
        assert.deepEqual(answer, { status: 200, headers: { 'x-oss-version-id': '1' }, body: oss });
      });
    }
  }

  test('one without a document has none', () => {
    assert.deepEqual(toOss({ status: 204 }), { status: 204, headers: {} });
    assert.equal(toOss(undefined), undefined);
  });

  test('headers have OSS names and values', () => {
    const s3 = {
      ...{ 'X-Amz-Version-Id': '1', 'x-amz-delete-marker': 'true', 'x-amz-meta-a': 'STANDARD', ETag: '"e"' },
      ...{ 'x-amz-storage-class': 'STANDARD_IA', 'x-amz-server-side-encryption-aws-kms-key-id': 'id' },
    };
    assert.deepEqual(renamed(s3), {
      ...{ 'x-oss-version-id': '1', 'x-oss-delete-marker': 'true', 'x-oss-meta-a': 'STANDARD', etag: '"e"' },
      ...{ 'x-oss-storage-class': 'IA', 'x-oss-server-side-encryption-key-id': 'id' },
    });
  });

  test('one that streams has them too, and the id of the request', () => {
    const heads: unknown[] = [];
    const response = { writeHead: (...head: unknown[]) => heads.push(head) } as unknown as ServerResponse;
    speakOss(response, 'R1');
    response.writeHead(206, { 'x-amz-meta-a': 'b', 'content-length': '5' });
    response.writeHead(204);
    assert.deepEqual(heads, [
      [206, { 'x-oss-meta-a': 'b', 'content-length': '5', 'x-oss-request-id': 'R1' }],
      [204, { 'x-oss-request-id': 'R1' }],
    ]);
  });
});

describe('a write that overwriting was forbidden to is refused in OSS words', () => {
  const exists = new StorageError('PreconditionFailed', 'x', { details: { condition: 'If-None-Match' } });
  const other = new StorageError('PreconditionFailed', 'x', { details: { condition: 'If-Match' } });
  const rows: { name: string; error: unknown; headers: Record<string, string>; code: string }[] = [
    {
      name: 'when the object is there',
      error: exists,
      headers: { 'x-oss-forbid-overwrite': 'true' },
      code: 'FileAlreadyExists',
    },
    { name: 'not when the client gave the condition itself', error: exists, headers: {}, code: 'PreconditionFailed' },
    {
      name: 'not when it allowed it',
      error: exists,
      headers: { 'x-oss-forbid-overwrite': 'false' },
      code: 'PreconditionFailed',
    },
    {
      name: 'not when another condition failed',
      error: other,
      headers: { 'x-oss-forbid-overwrite': 'true' },
      code: 'PreconditionFailed',
    },
    {
      name: 'not when something else went wrong',
      error: new StorageError('Busy', 'x'),
      headers: { 'x-oss-forbid-overwrite': 'true' },
      code: 'Busy',
    },
    {
      name: 'nor when what went wrong has a name already',
      error: new S3Error('PreconditionFailed', 412, 'x'),
      headers: { 'x-oss-forbid-overwrite': 'true' },
      code: 'PreconditionFailed',
    },
  ];
  for (const { name, error, headers, code } of rows) {
    test(name, () => {
      const refused = refusedInOss(error, asked(headers)) as { code: string };
      assert.equal(refused.code, code);
      if (code === 'FileAlreadyExists') assert.equal((refused as S3Error).status, 409);
      else assert.equal(refused, error);
    });
  }
});

describe('the operations of OSS', () => {
  /** OSS's name, then S3's; its own where there is none. */
  const rows: [oss: string, s3: string | undefined][] = [
    ['PutBucket', undefined],
    ['GetBucketInfo', undefined],
    ['GetService', 'ListBuckets'],
    ['HeadBucket', 'HeadBucket'],
    ['DeleteBucket', 'DeleteBucket'],
    ['GetBucketLocation', 'GetBucketLocation'],
    ['GetBucketVersioning', 'GetBucketVersioning'],
    ['PutBucketVersioning', 'PutBucketVersioning'],
    ['GetBucket', 'ListObjects'],
    ['GetBucketV2', 'ListObjectsV2'],
    ['ListObjectVersions', 'ListObjectVersions'],
    ['ListMultipartUploads', 'ListMultipartUploads'],
    ['DeleteMultipleObjects', 'DeleteObjects'],
    ['PutObject', 'PutObject'],
    ['GetObject', 'GetObject'],
    ['HeadObject', 'HeadObject'],
    ['DeleteObject', 'DeleteObject'],
    ['CopyObject', 'CopyObject'],
    ['GetObjectTagging', 'GetObjectTagging'],
    ['PutObjectTagging', 'PutObjectTagging'],
    ['DeleteObjectTagging', 'DeleteObjectTagging'],
    ['InitiateMultipartUpload', 'CreateMultipartUpload'],
    ['UploadPart', 'UploadPart'],
    ['UploadPartCopy', 'UploadPartCopy'],
    ['CompleteMultipartUpload', 'CompleteMultipartUpload'],
    ['AbortMultipartUpload', 'AbortMultipartUpload'],
    ['ListParts', 'ListParts'],
  ];

  test('are these and no others', () => {
    assert.deepEqual(ossOperations.map(({ name }) => name).sort(), rows.map(([name]) => name).sort());
  });

  for (const [oss, s3] of rows) {
    test(`${oss} is asked for ${s3 === undefined ? 'in a way of its own' : `as ${s3} is, with OSS's header`}`, () => {
      const own = ossOperations.find(({ name }) => name === oss)!;
      assert.equal(own.dialect, 'oss');
      assert.deepEqual(own.actions, [`oss:${oss}`]);
      if (s3 === undefined) return;
      const like = s3Operations.find(({ name }) => name === s3)!;
      for (const field of ['method', 'resource', 'query', 'parameters'] as const) {
        assert.deepEqual(own[field], like[field], field);
      }
      assert.equal(own.header, like.header?.replace('x-amz-', 'x-oss-'));
    });
  }
});
