import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Operation, type ParsedRequest } from '../../../storage-node/http/operation.ts';
import { ossOperations } from '../../../storage-node/http/oss/index.ts';
import { createRouter } from '../../../storage-node/http/router.ts';
import { s3Operations } from '../../../storage-node/http/s3/index.ts';
import { S3Error } from '../../../storage-node/http/s3-error.ts';

const router = createRouter([...s3Operations, ...ossOperations]);
const dialects = ['s3', 'oss'] as const;
const methods = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS', 'get'];

/** What a request means is said by these, in S3's and OSS's documentation of requests. */
const subResources: Record<(typeof dialects)[number], string[]> = {
  s3: [
    ...['abac', 'accelerate', 'acl', 'analytics', 'attributes', 'cors', 'delete', 'encryption', 'intelligent-tiering'],
    ...['inventory', 'legal-hold', 'lifecycle', 'location', 'logging', 'metadataConfiguration', 'metadataTable'],
    ...['metadataInventoryTable', 'metadataJournalTable', 'metrics', 'notification', 'object-lock'],
    ...['ownershipControls', 'policy', 'policyStatus', 'publicAccessBlock', 'renameObject', 'replication'],
    ...['requestPayment', 'restore', 'retention', 'select', 'session', 'tagging', 'torrent', 'uploads', 'versioning'],
    ...['versions', 'website'],
  ],
  oss: [
    ...['accessmonitor', 'acl', 'append', 'asyncFetch', 'bucketArchiveDirectRead', 'bucketInfo', 'cname', 'comp'],
    ...['cors', 'delete', 'encryption', 'httpsConfig', 'img', 'inventory', 'lifecycle', 'live', 'location', 'logging'],
    ...['metaQuery', 'objectMeta', 'policy', 'policyStatus', 'position', 'processConfiguration', 'publicAccessBlock'],
    ...['qos', 'qosInfo', 'referer', 'replication', 'replicationLocation', 'replicationProgress', 'requestPayment'],
    ...['requesterQosInfo', 'resourceGroup', 'restore', 'stat', 'style', 'symlink', 'tagging', 'transferAcceleration'],
    ...['uploads', 'userDefinedLogFieldsConfig', 'versioning', 'versions', 'vod', 'website', 'worm', 'wormExtend'],
  ],
};

function request(more: Partial<ParsedRequest>, ...query: string[]): ParsedRequest {
  const named = new Map(query.map((name) => [name, '']));
  return { dialect: 's3', method: 'GET', bucket: 'b', key: '', query: named, headers: {}, requestId: '', ...more };
}

/** Name of the operation, or status and code of the refusal. */
function found(asked: ParsedRequest): string {
  try {
    return router.find(asked).name;
  } catch (error) {
    assert.ok(error instanceof S3Error, String(error));
    return `${error.status} ${error.code}`;
  }
}

describe('a sub-resource that an operation does not know is refused, never ignored', () => {
  for (const dialect of dialects) {
    for (const name of subResources[dialect]) {
      test(`${dialect}: ${name}`, () => {
        for (const key of ['', 'key']) {
          for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'DELETE']) {
            const asked = request({ dialect, method, key }, name);
            const own = router.table.some(
              (row) =>
                row.dialect === dialect &&
                row.method === method &&
                (row.resource === 'object') === (key !== '') &&
                row.resource !== 'service' &&
                row.query.includes(name),
            );
            if (own) assert.ok(router.find(asked).query.includes(name), `${method} ${key}`);
            else assert.equal(found(asked), '501 NotImplemented', `${method} ${key}`);
          }
        }
      });
    }
  }

  test('in any company', () => {
    const operands = fc.record({
      dialect: fc.constantFrom(...dialects),
      method: fc.constantFrom(...methods),
      bucket: fc.constantFrom('', 'b'),
      key: fc.constantFrom('', 'k'),
    });
    const others = ['x-id', 'prefix', 'versionId', 'uploadId', 'partNumber', 'list-type', 'colour'];
    const names = fc.subarray([...new Set([...subResources.s3, ...subResources.oss, ...others])], { maxLength: 4 });
    fc.assert(
      fc.property(operands, names, fc.boolean(), (where, query, copies) => {
        const headers: Record<string, string> = copies
          ? { 'x-amz-copy-source': 'a/b', 'x-oss-copy-source': 'a/b' }
          : {};
        const asked = request({ ...where, headers }, ...query);
        let operation: Operation;
        try {
          operation = router.find(asked);
        } catch (error) {
          assert.ok(error instanceof S3Error && [405, 501].includes(error.status), String(error));
          return;
        }
        assert.deepEqual([operation.dialect, operation.method], [where.dialect, where.method]);
        assert.ok(operation.query.every((name) => query.includes(name)));
        assert.ok(operation.header === undefined || copies);
        const known = [...operation.query, ...operation.parameters];
        const ignored = query.filter((name) => subResources[where.dialect].includes(name) && !known.includes(name));
        assert.deepEqual(ignored, []);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('of operations that a request could be, it is the one that says most of it', () => {
  const copy = { 'x-amz-copy-source': 'a/b' };
  const rows: { asked: ParsedRequest; is: string }[] = [
    { asked: request({ bucket: '' }), is: 'ListBuckets' },
    { asked: request({}), is: 'ListObjects' },
    { asked: request({}, 'list-type'), is: 'ListObjectsV2' },
    { asked: request({}, 'prefix', 'x-id'), is: 'ListObjects' },
    { asked: request({ key: 'k' }), is: 'GetObject' },
    { asked: request({ key: 'k' }, 'versionId'), is: 'GetObject' },
    { asked: request({ key: 'k' }, 'uploadId'), is: 'ListParts' },
    { asked: request({ key: 'k', method: 'PUT' }), is: 'PutObject' },
    { asked: request({ key: 'k', method: 'PUT', headers: copy }), is: 'CopyObject' },
    { asked: request({ key: 'k', method: 'PUT' }, 'partNumber', 'uploadId'), is: 'UploadPart' },
    { asked: request({ key: 'k', method: 'PUT', headers: copy }, 'partNumber', 'uploadId'), is: 'UploadPartCopy' },
    { asked: request({ key: 'k', method: 'PUT', headers: { 'x-oss-copy-source': 'a/b' } }), is: 'PutObject' },
    { asked: request({ key: 'k', method: 'POST' }, 'uploads'), is: 'CreateMultipartUpload' },
    { asked: request({ key: 'k', method: 'POST' }, 'uploadId'), is: 'CompleteMultipartUpload' },
    { asked: request({ key: 'k', method: 'POST' }), is: '405 MethodNotAllowed' },
    { asked: request({ key: 'k', method: 'DELETE' }), is: 'DeleteObject' },
    { asked: request({ key: 'k', method: 'DELETE' }, 'uploadId'), is: 'AbortMultipartUpload' },
    { asked: request({ method: 'DELETE' }), is: 'DeleteBucket' },
    { asked: request({ bucket: '', method: 'DELETE' }), is: '405 MethodNotAllowed' },
    { asked: request({ dialect: 'oss', key: 'k', method: 'PUT', headers: copy }), is: 'PutObject' },
    {
      asked: request({ dialect: 'oss', key: 'k', method: 'PUT', headers: { 'x-oss-copy-source': 'a/b' } }),
      is: 'CopyObject',
    },
  ];
  for (const { asked, is } of rows) {
    const { dialect, method, bucket, key, query, headers } = asked;
    const parts = [dialect, method, `/${bucket}/${key}`, [...query.keys()].join('&'), Object.keys(headers).join()];
    test(`${parts.filter((part) => part !== '').join(' ')} is ${is}`, () => assert.equal(found(asked), is));
  }
});
