import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checksumsOf } from '../../activities/objects/checksum/hasher.ts';
import { s3 } from '../../activities/objects/dialect/s3.ts';
import type { ChecksumKind, Checksums } from '../../activities/objects/types.ts';
import { judgeObject, wantedOf, type ObjectVerdict } from '../../activities/protection/proof/object-checksums.ts';

const bytes = Buffer.from('a receipt');
const of = (kind: ChecksumKind, what = bytes): string => checksumsOf([kind], what)[kind]!;
const md5 = of('md5');
/** 32 hex digits that are no MD5, as of an object that is encrypted with a customer's keys. */
const opaque = 'f'.repeat(32);
const ofParts = `${'a'.repeat(32)}-3`;

const cases: { name: string; etag: string; checksums: Checksums | null; right: ObjectVerdict; wrong: ObjectVerdict }[] =
  [
    {
      name: 'CRC and MD5 are known: the CRC decides',
      ...{ etag: md5, checksums: { md5, crc64nvme: of('crc64nvme') }, right: 'right', wrong: 'wrong' },
    },
    {
      name: 'an ETag that is no MD5, beside a CRC: encrypted with a customer’s keys',
      ...{ etag: opaque, checksums: { crc64nvme: of('crc64nvme') }, right: 'right', wrong: 'wrong' },
    },
    {
      name: 'an ETag that the store lets pass for an MD5, beside a CRC',
      ...{ etag: opaque, checksums: { md5: opaque, crc64ecma: of('crc64ecma') }, right: 'right', wrong: 'wrong' },
    },
    {
      name: 'stored in parts, with the CRC of the whole',
      ...{ etag: ofParts, checksums: { crc32c: of('crc32c') }, right: 'right', wrong: 'wrong' },
    },
    {
      name: 'the strongest of several decides',
      ...{ etag: md5, checksums: { crc32: '00000000', sha256: of('sha256') }, right: 'right', wrong: 'wrong' },
    },
    {
      name: 'an MD5 alone',
      ...{ etag: md5, checksums: { md5 }, right: 'etag-right', wrong: 'etag-wrong' },
    },
    {
      name: 'encrypted with a customer’s keys, and no checksum: the ETag is not asked',
      ...{ etag: opaque, checksums: {}, right: 'nothing-known', wrong: 'nothing-known' },
    },
    {
      name: 'of an older snapshot, stored in one piece',
      ...{ etag: md5.toUpperCase(), checksums: null, right: 'etag-right', wrong: 'etag-wrong' },
    },
    {
      name: 'of an older snapshot, stored in parts',
      ...{ etag: ofParts, checksums: null, right: 'nothing-known', wrong: 'nothing-known' },
    },
  ];
for (const { name, etag, checksums, right, wrong } of cases) {
  test(`what an object is proven by: ${name}`, () => {
    const known = { etag, checksums };
    const kinds = [wantedOf(known)?.kind ?? []].flat();
    assert.equal(judgeObject(known, checksumsOf(kinds, bytes)), right);
    assert.equal(judgeObject(known, checksumsOf(kinds, Buffer.from('A receipt'))), wrong);
  });
}

test('the MD5 that S3 does not mean is not among what is known of an object that is encrypted with KMS', () => {
  const crc = Buffer.from(of('crc64nvme'), 'hex').toString('base64');
  const headers = { etag: `"${opaque}"`, 'x-amz-server-side-encryption': 'aws:kms', 'x-amz-checksum-crc64nvme': crc };
  const { checksums } = s3.checksumsOf(headers, false);
  assert.deepEqual(checksums, { crc64nvme: of('crc64nvme') });
  assert.equal(judgeObject({ etag: opaque, checksums }, checksumsOf(['crc64nvme'], bytes)), 'right');
});
