import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isBucketName } from '../../../../storage-node/http/s3/bucket-name.ts';
import { checksumPlanOf, claimedChecksum } from '../../../../storage-node/http/s3/checksums.ts';
import {
  deleteConditions,
  parseEtags,
  readConditions,
  writeConditions,
} from '../../../../storage-node/http/s3/conditions.ts';
import { parseCopySource } from '../../../../storage-node/http/s3/copy-source.ts';
import { httpDate, isoTime } from '../../../../storage-node/http/s3/dates.ts';
import { metadataOf, storageClassOf } from '../../../../storage-node/http/s3/metadata.ts';
import { continuationToken, pageSizeOf, parseContinuationToken } from '../../../../storage-node/http/s3/paging.ts';
import { parseCopyRange, parsePartNumber, parseRange } from '../../../../storage-node/http/s3/ranges.ts';
import { encodeUrl } from '../../../../storage-node/http/s3/url-encoding.ts';
import { S3Error } from '../../../../storage-node/http/s3-error.ts';

/** Code of the S3 error, or what came back. */
function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

describe('ranges', () => {
  const rows: [string | undefined, number, unknown][] = [
    [undefined, 10, undefined],
    ['bytes=0-4', 10, { first: 0, last: 4 }],
    ['bytes=0-0', 10, { first: 0, last: 0 }],
    ['bytes=4-', 10, { first: 4, last: 9 }],
    ['bytes=4-99', 10, { first: 4, last: 9 }],
    ['bytes=-3', 10, { first: 7, last: 9 }],
    ['bytes=-30', 10, { first: 0, last: 9 }],
    ['BYTES= 1 - 2 ', 10, { first: 1, last: 2 }],
    [`bytes=1-${'9'.repeat(400)}`, 10, { first: 1, last: 9 }],
    ['bytes=10-', 10, 'InvalidRange'],
    ['bytes=0-0', 0, 'InvalidRange'],
    ['bytes=-0', 10, 'InvalidRange'],
    ['bytes=-5', 0, 'InvalidRange'],
    ['bytes=5-2', 10, undefined],
    ['bytes=0-1,3-4', 10, undefined],
    ['bytes=-', 10, undefined],
    ['bytes=a-b', 10, undefined],
    ['lines=0-4', 10, undefined],
    ['0-4', 10, undefined],
  ];
  for (const [header, size, expected] of rows) {
    test(`${header?.slice(0, 30)} of ${size} bytes`, () => {
      assert.deepEqual(
        outcome(() => parseRange(header, size)),
        expected,
      );
    });
  }

  test('a range is always inside the object', () => {
    const number = fc.option(fc.nat({ max: 50 }), { nil: '' });
    fc.assert(
      fc.property(number, number, fc.nat({ max: 40 }), (first, last, size) => {
        const range = outcome(() => parseRange(`bytes=${first}-${last}`, size));
        if (typeof range !== 'object') return;
        const { first: from, last: to } = range as { first: number; last: number };
        assert.ok(from >= 0 && from <= to && to < size);
      }),
    );
  });

  const copyRows: [string, unknown][] = [
    ['bytes=0-9', { first: 0, last: 9 }],
    ['bytes=0-10', 'InvalidRange'],
    ['0-2', 'InvalidArgument'],
    ['bytes=0', 'InvalidArgument'],
    ['bytes=hello-world', 'InvalidArgument'],
    ['bytes=0-', 'InvalidArgument'],
    ['bytes=-3', 'InvalidArgument'],
    ['bytes=0-2,3-5', 'InvalidArgument'],
    ['bytes=3-2', 'InvalidArgument'],
  ];
  for (const [header, expected] of copyRows) {
    test(`the source range ${header} of 10 bytes`, () => {
      assert.deepEqual(
        outcome(() => parseCopyRange(header, 10)),
        expected,
      );
    });
  }

  for (const text of ['', '0', '10001', '1.5', '-1', 'one', '1e3', ' 1']) {
    test(`part number '${text}' is refused`, () => {
      assert.equal(
        outcome(() => parsePartNumber(text)),
        'InvalidArgument',
      );
    });
  }
});

describe('conditions', () => {
  test('ETags are read with and without quotes, weak ones and lists of them', () => {
    assert.deepEqual(parseEtags('"a"'), ['a']);
    assert.deepEqual(parseEtags('a'), ['a']);
    assert.deepEqual(parseEtags('W/"a", "b"'), ['a', 'b']);
    assert.deepEqual(parseEtags('a, b'), ['a', 'b']);
    assert.deepEqual(parseEtags('*'), ['*']);
  });

  test('a date that cannot be read is ignored on a read and refused on a delete', () => {
    assert.deepEqual(readConditions({ 'if-modified-since': 'yesterday' }), {});
    assert.equal(
      outcome(() => deleteConditions({ 'x-amz-if-match-last-modified-time': 'yesterday' })),
      'InvalidArgument',
    );
  });

  test('no header means no conditions', () => {
    assert.equal(readConditions({}), undefined);
    assert.equal(deleteConditions({}), undefined);
    assert.deepEqual(writeConditions({}), {});
  });

  test('the conditions on a copy source are apart from those on its target', () => {
    const headers = { 'x-amz-copy-source-if-match': '"a"', 'if-none-match': '*' };
    assert.deepEqual(readConditions(headers, 'x-amz-copy-source-'), { ifMatch: ['a'] });
    assert.deepEqual(writeConditions(headers), { ifNoneMatch: ['*'] });
  });

  for (const headers of [
    { 'if-none-match': '"a"' },
    { 'if-none-match': '*', 'if-match': '"a"' },
    { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' },
  ]) {
    test(`a write with ${JSON.stringify(headers)} is not implemented`, () => {
      assert.equal(
        outcome(() => writeConditions(headers)),
        'NotImplemented',
      );
    });
  }

  test('a delete may name ETag, size and time', () => {
    const headers = {
      'if-match': '"a"',
      'x-amz-if-match-size': '12',
      'x-amz-if-match-last-modified-time': 'Thu, 01 Jan 1970 00:00:05 GMT',
    };
    assert.deepEqual(deleteConditions(headers), { ifMatch: ['a'], ifSizeBytes: 12, ifLastModifiedMs: 5000 });
  });
});

describe('the source of a copy', () => {
  const rows: [string, unknown][] = [
    ['b/k', { bucket: 'b', key: 'k', versionId: undefined }],
    ['/b/k', { bucket: 'b', key: 'k', versionId: undefined }],
    ['%2Fb%2Fk', { bucket: 'b', key: 'k', versionId: undefined }],
    ['b/a+b', { bucket: 'b', key: 'a+b', versionId: undefined }],
    ['b/a%2Bb%20c', { bucket: 'b', key: 'a+b c', versionId: undefined }],
    ['b/../c//d', { bucket: 'b', key: '../c//d', versionId: undefined }],
    ['b//k', { bucket: 'b', key: '/k', versionId: undefined }],
    ['b/k?versionId=v1', { bucket: 'b', key: 'k', versionId: 'v1' }],
    ['b/k%3FversionId=v1', { bucket: 'b', key: 'k?versionId=v1', versionId: undefined }],
    ['b/%E4%BD%A0', { bucket: 'b', key: '你', versionId: undefined }],
    [Buffer.from('b/你').toString('latin1'), { bucket: 'b', key: '你', versionId: undefined }],
    ['b/100%', { bucket: 'b', key: '100%', versionId: undefined }],
    ['b/%00', { bucket: 'b', key: '\0', versionId: undefined }],
    ['b/%ff', 'InvalidArgument'],
    ['b/', 'InvalidArgument'],
    ['b', 'InvalidArgument'],
    ['', 'InvalidArgument'],
    ['/', 'InvalidArgument'],
    ['//k', 'InvalidArgument'],
    ['b/k?versionId=', 'InvalidArgument'],
  ];
  for (const [header, expected] of rows) {
    test(`'${header}'`, () => {
      assert.deepEqual(
        outcome(() => parseCopySource(header)),
        expected,
      );
    });
  }
});

describe('metadata', () => {
  test('aws-chunked is no part of the content encoding', () => {
    const encodings: [string, string | undefined][] = [
      ['aws-chunked', undefined],
      ['aws-chunked,gzip', 'gzip'],
      ['gzip, AWS-Chunked , br', 'gzip,br'],
      ['gzip', 'gzip'],
      ['', undefined],
    ];
    for (const [given, kept] of encodings) {
      assert.equal(metadataOf({ 'content-encoding': given }).headers['content-encoding'], kept);
    }
  });

  test('user metadata loses its prefix and is limited to 2 KiB', () => {
    assert.deepEqual(metadataOf({ 'x-amz-meta-a': '1', 'x-amz-date': 'x' }).user, { a: '1' });
    assert.equal(metadataOf({ 'x-amz-meta-a': 'x'.repeat(2047) }).user['a']?.length, 2047);
    assert.equal(
      outcome(() => metadataOf({ 'x-amz-meta-a': 'x'.repeat(2048) })),
      'MetadataTooLarge',
    );
  });

  const refused: [Record<string, string>, string][] = [
    [{ 'x-amz-acl': 'public-read' }, 'AccessControlListNotSupported'],
    [{ 'x-amz-grant-read': 'id=1' }, 'AccessControlListNotSupported'],
    [{ 'x-amz-server-side-encryption': 'AES256' }, 'NotImplemented'],
    [{ 'x-amz-server-side-encryption-customer-algorithm': 'AES256' }, 'NotImplemented'],
    [{ 'x-amz-website-redirect-location': '/x' }, 'NotImplemented'],
    [{ 'x-amz-write-offset-bytes': '5' }, 'NotImplemented'],
    [{ 'x-amz-object-lock-mode': 'COMPLIANCE' }, 'InvalidRequest'],
  ];
  for (const [headers, code] of refused) {
    test(`${Object.keys(headers)[0]} is refused, not ignored`, () => {
      assert.equal(
        outcome(() => metadataOf(headers)),
        code,
      );
    });
  }

  test('headers that change nothing are let through', () => {
    const headers = { 'x-amz-acl': 'private', 'x-amz-tagging': 'a=b', 'x-amz-tagging-directive': 'COPY' };
    assert.deepEqual(metadataOf(headers).user, {});
  });

  test('storage classes that need a restore are refused', () => {
    assert.equal(storageClassOf({}), undefined);
    assert.equal(storageClassOf({ 'x-amz-storage-class': 'STANDARD_IA' }), 'STANDARD_IA');
    for (const name of ['GLACIER', 'DEEP_ARCHIVE', 'standard', '']) {
      assert.equal(
        outcome(() => storageClassOf({ 'x-amz-storage-class': name })),
        'InvalidStorageClass',
      );
    }
  });
});

describe('checksums of multipart uploads', () => {
  const rows: [string | undefined, string | undefined, unknown][] = [
    [undefined, undefined, { algorithm: undefined, type: undefined }],
    ['CRC32', undefined, { algorithm: 'CRC32', type: 'COMPOSITE' }],
    ['crc64nvme', undefined, { algorithm: 'CRC64NVME', type: 'FULL_OBJECT' }],
    ['CRC32C', 'FULL_OBJECT', { algorithm: 'CRC32C', type: 'FULL_OBJECT' }],
    ['SHA256', 'COMPOSITE', { algorithm: 'SHA256', type: 'COMPOSITE' }],
    ['SHA1', 'FULL_OBJECT', 'InvalidRequest'],
    ['CRC64NVME', 'COMPOSITE', 'InvalidRequest'],
    [undefined, 'COMPOSITE', 'InvalidRequest'],
    ['MD5', undefined, 'InvalidRequest'],
    ['CRC32', 'HALF', 'InvalidRequest'],
  ];
  for (const [algorithm, type, expected] of rows) {
    test(`algorithm ${algorithm}, type ${type}`, () => {
      const headers: Record<string, string> = {};
      if (algorithm !== undefined) headers['x-amz-checksum-algorithm'] = algorithm;
      if (type !== undefined) headers['x-amz-checksum-type'] = type;
      assert.deepEqual(
        outcome(() => checksumPlanOf(headers)),
        expected,
      );
    });
  }

  test('one checksum of the whole may be claimed', () => {
    assert.equal(claimedChecksum({}), undefined);
    assert.deepEqual(claimedChecksum({ 'x-amz-checksum-crc32': 'AAAAAA==' }), {
      algorithm: 'CRC32',
      value: 'AAAAAA==',
      type: 'FULL_OBJECT',
    });
    assert.equal(claimedChecksum({ 'x-amz-checksum-crc32': 'AAAAAA==-3' })?.type, 'COMPOSITE');
    const two = { 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-sha1': 'AAAA' };
    assert.equal(
      outcome(() => claimedChecksum(two)),
      'InvalidRequest',
    );
    assert.equal(
      outcome(() => claimedChecksum({ 'x-amz-checksum-crc32': '!' })),
      'InvalidArgument',
    );
  });
});

describe('listings', () => {
  test('keys are encoded as S3 encodes them', () => {
    assert.equal(encodeUrl('a b+c/d'), 'a%20b%2Bc/d');
    assert.equal(encodeUrl('test_file(3).png'), 'test_file%283%29.png');
    assert.equal(encodeUrl("你!'*~"), '%E4%BD%A0%21%27%2A~');
    assert.equal(encodeUrl('%\u0001'), '%25%01');
  });

  test('what is encoded is decoded to itself', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => decodeURIComponent(encodeUrl(text)) === text));
  });

  test('a continuation token is opaque and comes back unchanged', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        (text) => parseContinuationToken(continuationToken(text)) === text && !continuationToken(text).includes('='),
      ),
    );
  });

  for (const token of ['x', 'AAAA', continuationToken('a').slice(1), `${continuationToken('a')}=`, 'MQ==']) {
    test(`the token ${token} was not given out`, () => {
      assert.equal(
        outcome(() => parseContinuationToken(token)),
        'InvalidArgument',
      );
    });
  }

  test('page sizes', () => {
    const size = (text: string): unknown => outcome(() => pageSizeOf(new Map([['max-keys', text]]), 'max-keys'));
    assert.deepEqual(['', '0', '7', '1000', '5000', '2147483647'].map(size), [1000, 0, 7, 1000, 1000, 1000]);
    for (const text of ['-1', 'x', '1.5', '2147483648', '99999999999']) assert.equal(size(text), 'InvalidArgument');
  });
});

describe('times', () => {
  test('whole seconds, as S3 writes them', () => {
    assert.equal(isoTime(1_257_948_650_999), '2009-11-11T14:10:50.000Z');
    assert.equal(httpDate(784_111_777_000), 'Sun, 06 Nov 1994 08:49:37 GMT');
  });

  test('every second is written as JavaScript writes it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (second) => {
        assert.equal(isoTime(second * 1000 + 123), new Date(second * 1000).toISOString());
      }),
    );
  });
});

describe('bucket names', () => {
  for (const name of ['abc', 'a-b.c', '1ab', 'a'.repeat(63), '1.2.3.4.5', 'my.bucket-9']) {
    test(`${name} is one`, () => assert.ok(isBucketName(name)));
  }
  const wrong = ['ab', 'a'.repeat(64), 'Abc', 'a_b', '-ab', 'ab-', '.ab', 'ab.', 'a..b', '192.168.0.1', 'xn--abc'];
  for (const name of [...wrong, 'a b', 'a/b', 'abc-s3alias', 'x--ol-s3', '你好吗', 'abc\n', 'sthree-x', 'abc.mrap']) {
    test(`${JSON.stringify(name)} is none`, () => assert.ok(!isBucketName(name)));
  }
});
