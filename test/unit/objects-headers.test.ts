import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Dialect } from '../../activities/objects/dialect/dialect.ts';
import { oss } from '../../activities/objects/dialect/oss.ts';
import { s3 } from '../../activities/objects/dialect/s3.ts';
import { readMetadata, writeMetadata } from '../../activities/objects/header-text.ts';
import { describingHeaders, infoOf } from '../../activities/objects/object-headers.ts';
import { type Checksums, type CompositeChecksum, type ObjectInfo } from '../../activities/objects/types.ts';

const md5 = '9e107d9d372bb6826bd81d3542a419d6';
const modified = { 'last-modified': 'Wed, 04 Mar 2026 05:06:07 GMT', 'content-length': '10' };

interface Row {
  name: string;
  dialect: Dialect;
  headers: Record<string, string>;
  partial?: boolean;
  checksums: Checksums;
  composite?: CompositeChecksum;
}

const rows: Row[] = [
  { name: 'an ETag that is an MD5', dialect: s3, headers: { etag: `"${md5}"` }, checksums: { md5 } },
  { name: 'an ETag of parts', dialect: s3, headers: { etag: `"${md5}-3"` }, checksums: {} },
  { name: 'an ETag of another kind', dialect: s3, headers: { etag: '"0x8DABC"' }, checksums: {} },
  {
    name: 'an ETag under keys of KMS',
    dialect: s3,
    headers: { etag: `"${md5}"`, 'x-amz-server-side-encryption': 'aws:kms:dsse' },
    checksums: {},
  },
  {
    name: 'an ETag under a key of the client',
    dialect: s3,
    headers: { etag: `"${md5}"`, 'x-amz-server-side-encryption-customer-algorithm': 'AES256' },
    checksums: {},
  },
  {
    name: 'an ETag under keys of S3',
    dialect: s3,
    headers: { etag: `"${md5}"`, 'x-amz-server-side-encryption': 'AES256' },
    checksums: { md5 },
  },
  {
    name: 'checksums of the whole',
    dialect: s3,
    headers: {
      ...{ 'x-amz-checksum-crc64nvme': 'rosUhgp5mIg=', 'x-amz-checksum-type': 'FULL_OBJECT' },
      ...{ 'x-amz-checksum-crc32': 'y/Q5Jg==' },
    },
    checksums: { crc64nvme: 'ae8b14860a799888', crc32: 'cbf43926' },
  },
  {
    name: 'a checksum of checksums',
    dialect: s3,
    headers: { 'x-amz-checksum-crc32c': '4waSgw==-7', 'x-amz-checksum-type': 'COMPOSITE' },
    checksums: {},
    composite: { kind: 'crc32c', value: 'e3069283', parts: 7 },
  },
  {
    name: 'the same from a server that names no type',
    dialect: s3,
    headers: { 'x-amz-checksum-crc32c': '4waSgw==-7' },
    checksums: {},
    composite: { kind: 'crc32c', value: 'e3069283', parts: 7 },
  },
  {
    name: 'what is no checksum',
    dialect: s3,
    headers: { 'x-amz-checksum-crc32c': 'nonsense', 'x-amz-checksum-sha256': '' },
    checksums: {},
  },
  {
    name: 'a range',
    dialect: s3,
    partial: true,
    headers: { etag: `"${md5}"`, 'x-amz-checksum-crc32': 'y/Q5Jg==', 'content-range': 'bytes 0-9/100' },
    checksums: { md5 },
  },
  {
    name: 'a CRC and an MD5',
    dialect: oss,
    headers: {
      ...{
        etag: `"${md5.toUpperCase()}"`,
        'x-oss-hash-crc64ecma': '11051210869376104954',
        'x-oss-object-type': 'Normal',
      },
      'content-md5': Buffer.from(md5, 'hex').toString('base64'),
    },
    checksums: { md5, crc64ecma: '995dc9bbdf1939fa' },
  },
  {
    name: 'a range: the CRC is of the whole',
    dialect: oss,
    partial: true,
    headers: { etag: `"${md5.toUpperCase()}"`, 'x-oss-hash-crc64ecma': '11051210869376104954' },
    checksums: { md5, crc64ecma: '995dc9bbdf1939fa' },
  },
  {
    name: 'an object in parts',
    dialect: oss,
    headers: { etag: `"${md5}"`, 'x-oss-hash-crc64ecma': '1', 'x-oss-object-type': 'Multipart' },
    checksums: { crc64ecma: '0000000000000001' },
  },
  {
    name: 'an object under keys of KMS',
    dialect: oss,
    headers: { etag: `"${md5}"`, 'x-oss-server-side-encryption': 'KMS' },
    checksums: {},
  },
];
for (const { name, dialect, headers, partial, checksums, composite } of rows) {
  test(`${dialect.name}: ${name}`, () => {
    const info = infoOf(dialect, 'key', { status: partial === true ? 206 : 200, headers: { ...modified, ...headers } });
    assert.deepEqual(info.checksums, checksums);
    assert.deepEqual(info.composite, composite);
    assert.equal(info.sizeBytes, partial === true && dialect === s3 ? 100 : 10);
  });
}

const facts: { name: string; dialect: Dialect; headers: Record<string, string>; want: Partial<ObjectInfo> }[] = [
  { name: 'no class named', dialect: s3, headers: {}, want: { storageClass: 'STANDARD', archived: false } },
  { name: 'no class named', dialect: oss, headers: {}, want: { storageClass: 'Standard', archived: false } },
  { name: 'archived', dialect: s3, headers: { 'x-amz-storage-class': 'GLACIER' }, want: { archived: true } },
  { name: 'read at once', dialect: s3, headers: { 'x-amz-storage-class': 'GLACIER_IR' }, want: { archived: false } },
  {
    name: 'archived by tiering',
    dialect: s3,
    headers: { 'x-amz-storage-class': 'INTELLIGENT_TIERING', 'x-amz-archive-status': 'ARCHIVE_ACCESS' },
    want: { archived: true },
  },
  {
    name: 'being restored',
    dialect: s3,
    headers: { 'x-amz-storage-class': 'DEEP_ARCHIVE', 'x-amz-restore': 'ongoing-request="true"' },
    want: { archived: true, restore: { ongoing: true } },
  },
  {
    name: 'restored for a while',
    dialect: oss,
    headers: {
      'x-oss-storage-class': 'ColdArchive',
      'x-oss-restore': 'ongoing-request="false", expiry-date="Wed, 04 Mar 2026 05:06:07 GMT"',
    },
    want: { archived: false, restore: { ongoing: false, untilMs: Date.UTC(2026, 2, 4, 5, 6, 7) } },
  },
  {
    name: 'locked',
    dialect: s3,
    headers: {
      ...{ 'x-amz-object-lock-mode': 'COMPLIANCE', 'x-amz-object-lock-legal-hold': 'ON' },
      'x-amz-object-lock-retain-until-date': '2026-03-04T05:06:07Z',
    },
    want: { retention: { mode: 'COMPLIANCE', untilMs: Date.UTC(2026, 2, 4, 5, 6, 7) }, legalHold: true },
  },
  {
    name: 'versions, tags and parts',
    dialect: s3,
    headers: { 'x-amz-version-id': 'v1', 'x-amz-tagging-count': '3', etag: `"${md5}-12"` },
    want: { versionId: 'v1', tagCount: 3, parts: 12, etag: `${md5}-12` },
  },
  {
    name: 'metadata and content',
    dialect: oss,
    headers: { 'x-oss-meta-a': '=?UTF-8?B?w7w=?=', 'content-type': 'a/b', expires: '0', 'cache-control': 'no-store' },
    want: { metadata: { a: 'ü' }, content: { contentType: 'a/b', expires: '0', cacheControl: 'no-store' } },
  },
];
for (const { name, dialect, headers, want } of facts) {
  test(`${dialect.name}: an object that is ${name}`, () => {
    const info = infoOf(dialect, 'key', { status: 200, headers: { ...modified, ...headers } });
    for (const [fact, value] of Object.entries(want)) assert.deepEqual(info[fact as keyof ObjectInfo], value, fact);
  });
}

test('metadata goes out as ASCII and comes back as it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (text) => {
      const written = writeMetadata(text);
      assert.match(written, /^[\u0000-\u007f]*$/);
      assert.equal(readMetadata(written), text);
    }),
    { numRuns: 500, examples: [['\ufffd']] },
  );
});

for (const [value, text] of [
  ['plain', 'plain'],
  ['=?utf-8?q?Gr=C3=BC=C3=9Fe_1?=', 'Grüße 1'],
  ['=?UTF-8?B?w7w=?=', 'ü'],
  ['=?UTF-8?B?eA==?=', '=?UTF-8?B?eA==?='],
  ['=?ISO-8859-1?Q?=FC?=', '=?ISO-8859-1?Q?=FC?='],
  ['=?UTF-8?B?/w==?=', '=?UTF-8?B?/w==?='],
  ['\u00c3\u00bc', 'ü'],
  ['\u00fc', '\u00fc'],
] as const) {
  test(`the metadata ${JSON.stringify(value)} is read as ${text}`, () => assert.equal(readMetadata(value), text));
}

test('what an object is described with goes into the dialect’s headers', () => {
  const described = {
    content: { contentType: 'a/b' },
    metadata: { Name: 'ü', b: '1' },
    tags: { 'a b': 'c&d', e: '' },
    storageClass: 'X',
  };
  assert.deepEqual(describingHeaders(oss, described), {
    ...{ 'content-type': 'a/b', 'x-oss-meta-name': '=?UTF-8?B?w7w=?=', 'x-oss-meta-b': '1' },
    ...{ 'x-oss-storage-class': 'X', 'x-oss-tagging': 'a%20b=c%26d&e=' },
  });
  const retention = { mode: 'COMPLIANCE' as const, untilMs: Date.UTC(2026, 2, 4) };
  assert.deepEqual(describingHeaders(s3, { retention, legalHold: false, tags: {} }), {
    ...{ 'x-amz-object-lock-mode': 'COMPLIANCE', 'x-amz-object-lock-legal-hold': 'OFF' },
    'x-amz-object-lock-retain-until-date': '2026-03-04T00:00:00.000Z',
  });
});

for (const described of [
  { metadata: { 'two words': 'x' } },
  { metadata: { '': 'x' } },
  { metadata: { a: 'x\r\nx-amz-acl: public-read' } },
  { content: { contentType: 'a\nb' } },
]) {
  test(`${JSON.stringify(described)} cannot become headers`, () => {
    assert.throws(() => describingHeaders(s3, described), { code: 'OBJECT_STORE_REFUSED' });
  });
}
