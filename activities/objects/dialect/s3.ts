import { fromBase64, toBase64 } from '../checksum/values.ts';
import { createAwsSigner } from '../signing/requests.ts';
import { type ChecksumKind, type Checksums, type CompositeChecksum } from '../types.ts';
import { type Dialect, type Headers } from './dialect.ts';
import { bareEtag, md5OfEtag } from './etag.ts';

/** In the order in which they are sent along: S3 takes one, and keeps CRC-64/NVME anyway. */
const kinds: readonly ChecksumKind[] = ['crc64nvme', 'crc32c', 'sha256', 'crc32', 'sha1'];
const names = kinds.map((kind) => `x-amz-checksum-${kind}`);

const mebibyte = 2 ** 20;

/** Amazon S3 (API version 2006-03-01) and what speaks like it. */
export const s3: Dialect = {
  name: 's3',
  prefix: 'x-amz-',
  supports: {
    ifAbsent: 'always',
    putIfMatch: true,
    completeConditions: true,
    wholeChecksum: 'crc64nvme',
    objectLock: true,
    bucketWorm: false,
    // "Amazon S3 multipart upload limits"
    maxPutBytes: 5 * 1024 * mebibyte,
    minPartBytes: 5 * mebibyte,
    maxParts: 10_000,
  },
  storageClass: 'STANDARD',
  archiveClasses: ['GLACIER', 'DEEP_ARCHIVE'],
  bareQuery: false,
  bucketPath: (bucket) => `/${bucket}`,
  signsBucketInPath: false,
  ownChecksum: 'crc64nvme',
  xmlNamespace: ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
  signer: ({ region }, host) => createAwsSigner(region, host),
  conditionHeaders({ ifAbsent, ifMatch }) {
    const headers: Record<string, string> = {};
    if (ifAbsent === true) headers['if-none-match'] = '*';
    if (ifMatch !== undefined) headers['if-match'] = `"${ifMatch}"`;
    return headers;
  },
  checksumHeaders(known) {
    const at = kinds.findIndex((kind) => known[kind] !== undefined);
    if (at >= 0) return { [names[at]!]: toBase64(known[kinds[at]!]!) };
    return known.md5 === undefined ? {} : { 'content-md5': toBase64(known.md5) };
  },
  askForChecksums: { 'x-amz-checksum-mode': 'ENABLED' },
  checksumsOf(headers, partial) {
    const checksums: Checksums = md5OfEtag(bareEtag(headers['etag']), !isEncryptedApart(headers));
    // With a range S3 may answer the checksum of the part that happens to be there.
    if (partial) return { checksums };
    let composite: CompositeChecksum | undefined;
    for (let i = 0; i < kinds.length; i++) {
      const kind = kinds[i]!;
      const text = headers[names[i]!];
      if (text === undefined) continue;
      const dash = text.lastIndexOf('-');
      if (dash < 0 && headers['x-amz-checksum-type'] !== 'COMPOSITE') {
        const value = fromBase64(kind, text);
        if (value !== undefined) checksums[kind] = value;
        continue;
      }
      const value = fromBase64(kind, dash < 0 ? text : text.slice(0, dash));
      if (value !== undefined) composite = { kind, value, parts: dash < 0 ? 0 : Number(text.slice(dash + 1)) };
    }
    return composite === undefined ? { checksums } : { checksums, composite };
  },
};

/** With keys of KMS or of the client the ETag is not the MD5 ("Checking object integrity"). */
function isEncryptedApart(headers: Headers): boolean {
  return (
    headers['x-amz-server-side-encryption']?.startsWith('aws:kms') === true ||
    headers['x-amz-server-side-encryption-customer-algorithm'] !== undefined
  );
}
