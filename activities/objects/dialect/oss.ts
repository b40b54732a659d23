import { fromBase64, fromDecimal, toBase64 } from '../checksum/values.ts';
import { ObjectStoreError } from '../failure.ts';
import { createOssSigner } from '../signing/requests.ts';
import { type Checksums } from '../types.ts';
import { type Dialect } from './dialect.ts';
import { bareEtag, md5OfEtag } from './etag.ts';

const mebibyte = 2 ** 20;

/** Alibaba Cloud Object Storage Service, signature version 4. */
export const oss: Dialect = {
  name: 'oss',
  prefix: 'x-oss-',
  supports: {
    // "Prevent objects from being overwritten by objects with the same names": not with versioning.
    ifAbsent: 'unversioned',
    putIfMatch: false,
    completeConditions: true,
    wholeChecksum: 'crc64ecma',
    objectLock: false,
    bucketWorm: true,
    // "Limits": PutObject 5 GB, parts from 100 KB.
    maxPutBytes: 5 * 1024 * mebibyte,
    minPartBytes: 100 * 1024,
    maxParts: 10_000,
  },
  storageClass: 'Standard',
  archiveClasses: ['Archive', 'ColdArchive', 'DeepColdArchive'],
  bareQuery: true,
  bucketPath: (bucket) => `/${bucket}/`,
  signsBucketInPath: true,
  ownChecksum: 'md5',
  xmlNamespace: '',
  signer: ({ region }) => createOssSigner(region),
  conditionHeaders({ ifAbsent, ifMatch }) {
    if (ifMatch !== undefined) {
      throw new ObjectStoreError('OBJECT_STORE_REFUSED', 'OSS writes under no If-Match: see `supports.putIfMatch`', {});
    }
    return ifAbsent === true ? { 'x-oss-forbid-overwrite': 'true' } : {};
  },
  // OSS compares no CRC that is sent to it; it answers its own.
  checksumHeaders: ({ md5 }) => (md5 === undefined ? {} : { 'content-md5': toBase64(md5) }),
  askForChecksums: {},
  checksumsOf(headers, partial) {
    // Only what PutObject or CopyObject made has an MD5 for its ETag; not with keys of KMS ("ETag").
    const type = headers['x-oss-object-type'] ?? 'Normal';
    const isMd5 = type === 'Normal' && headers['x-oss-server-side-encryption'] !== 'KMS';
    const checksums: Checksums = md5OfEtag(bareEtag(headers['etag']), isMd5);
    const md5 = fromBase64('md5', headers['content-md5'] ?? '');
    // Of the whole object, also with a range.
    const crc = fromDecimal(headers['x-oss-hash-crc64ecma'] ?? '');
    if (md5 !== undefined && !partial) checksums.md5 = md5;
    if (crc !== undefined) checksums.crc64ecma = crc;
    return { checksums };
  },
};
