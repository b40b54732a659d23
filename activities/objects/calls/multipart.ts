import { createHash } from 'node:crypto';
import { combineChecksums, crcKinds, fromBase64, toBase64 } from '../checksum/values.ts';
import { type Dialect } from '../dialect/dialect.ts';
import { bareEtag } from '../dialect/etag.ts';
import { ObjectStoreError } from '../failure.ts';
import { type Caller } from '../http/caller.ts';
import { describingHeaders } from '../object-headers.ts';
import {
  type CallOptions,
  type ChecksumKind,
  type Checksums,
  type CompleteOptions,
  type ObjectClient,
  type PartOptions,
  type PutBody,
  type PutResult,
  type UploadedPart,
  type UploadOptions,
  type UploadRef,
} from '../types.ts';
import { element } from '../xml/writer.ts';
import { fieldsOf, parsed } from './documents.ts';
import { type ReadBack, readBack } from './read-back.ts';
import { refuseLocks, refuseOther, sizeOf, toSend } from './writing.ts';

type Multipart = Pick<ObjectClient, 'createUpload' | 'uploadPart' | 'completeUpload' | 'abortUpload'>;

export function multipartCalls(caller: Caller, dialect: Dialect, head: ObjectClient['head']): Multipart {
  return {
    async createUpload(key: string, options: UploadOptions = {}, call?: CallOptions) {
      refuseLocks(dialect, options);
      const headers = { ...describingHeaders(dialect, options), ...wholeChecksumHeaders(dialect, options.checksum) };
      const request = { method: 'POST' as const, key, query: { uploads: '' }, headers };
      const uploadId = await parsed(caller, request, {
        options: call,
        root: 'InitiateMultipartUploadResult',
        read: (reader) => fieldsOf(reader, ['UploadId']).get('UploadId') ?? '',
      });
      return { key, uploadId };
    },

    async uploadPart(
      { key, uploadId, partNumber }: UploadRef & { partNumber: number },
      body: PutBody,
      options: PartOptions = {},
      call?: CallOptions,
    ): Promise<UploadedPart> {
      const { beforehand, headers, known } = toSend(dialect, body, options.checksums);
      const query = { partNumber, uploadId };
      const request = { method: 'PUT' as const, key, query, headers, body, bodySha256: beforehand.sha256 };
      const answer = await caller.answered(request, call);
      const { checksums } = dialect.checksumsOf(answer.headers, false);
      refuseOther({ key: `${key} part ${partNumber}`, known }, checksums);
      return { partNumber, etag: bareEtag(answer.headers['etag']), sizeBytes: sizeOf(body), checksums };
    },

    completeUpload: (upload, parts, options = {}, call) =>
      complete({ caller, dialect, head }, { upload, parts, options, call }),

    async abortUpload({ key, uploadId }: UploadRef, call?: CallOptions) {
      try {
        await caller.answered({ method: 'DELETE', key, query: { uploadId } }, call);
      } catch (error) {
        if (!(error instanceof ObjectStoreError) || error.serverCode !== 'NoSuchUpload') throw error;
      }
    },
  };
}

/** S3 sums up the parts as one checksum of the whole only where that was asked for at the beginning. */
function wholeChecksumHeaders({ name }: Dialect, kind: UploadOptions['checksum']): Record<string, string> {
  if (name !== 's3' || kind === false) return {};
  return {
    'x-amz-checksum-algorithm': (kind ?? 'crc64nvme').toUpperCase(),
    'x-amz-checksum-type': 'FULL_OBJECT',
  };
}

interface Completion {
  upload: UploadRef;
  parts: readonly UploadedPart[];
  options: CompleteOptions;
  call: CallOptions | undefined;
}

async function complete(
  { caller, dialect, head }: { caller: Caller; dialect: Dialect; head: ObjectClient['head'] },
  { upload, parts, options, call }: Completion,
): Promise<PutResult> {
  const { key, uploadId } = upload;
  const combined = combineChecksums(parts);
  const known = { ...combined, ...options.checksums };
  const written: ReadBack = {
    ...{ key, sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), known: () => known },
    etag: etagOfParts(parts),
  };
  const headers = {
    'content-type': 'application/xml',
    ...dialect.conditionHeaders(options),
    ...claimHeaders(dialect, known, combined),
  };
  const request = { method: 'POST' as const, key, query: { uploadId }, headers, body: document(dialect, parts) };
  try {
    const result = await parsed(caller, request, {
      options: call,
      root: 'CompleteMultipartUploadResult',
      read: (reader, answer) => {
        const fields = fieldsOf(reader, ['ETag', 'ChecksumType', ...checksumElements]);
        return resultOf(dialect, fields, answer.headers);
      },
    });
    refuseOther({ key, known: written.known }, result.checksums);
    return result;
  } catch (error) {
    return readBack({ head, call }, written, error);
  }
}

/** Of the kinds S3 can hold the whole object against, one that the parts were sent with, too. */
function claimHeaders({ name }: Dialect, known: Checksums, combined: Checksums): Record<string, string> {
  if (name !== 's3') return {};
  const kind = (['crc64nvme', 'crc32c', 'crc32'] as const).find((one) => combined[one] !== undefined);
  if (kind === undefined) return {};
  return { [`x-amz-checksum-${kind}`]: toBase64(known[kind]!), 'x-amz-checksum-type': 'FULL_OBJECT' };
}

/** S3's element names of the checksums, by kind. */
const elementOf: Partial<Record<ChecksumKind, string>> = {
  crc64nvme: 'ChecksumCRC64NVME',
  crc32c: 'ChecksumCRC32C',
  crc32: 'ChecksumCRC32',
  sha1: 'ChecksumSHA1',
  sha256: 'ChecksumSHA256',
};
export const checksumElements = Object.values(elementOf);

/** The checksums among the fields of a document. */
export function checksumsIn(fields: ReadonlyMap<string, string>): Checksums {
  const checksums: Checksums = {};
  for (const kind of Object.keys(elementOf) as ChecksumKind[]) {
    const value = fromBase64(kind, fields.get(elementOf[kind]!) ?? '');
    if (value !== undefined) checksums[kind] = value;
  }
  return checksums;
}

function document({ name, xmlNamespace }: Dialect, parts: readonly UploadedPart[]): Buffer {
  const rows = parts.map(({ partNumber, etag, checksums }) => {
    const sums =
      name === 's3'
        ? (Object.keys(crcKinds) as ChecksumKind[])
            .filter((kind) => elementOf[kind] !== undefined && checksums[kind] !== undefined)
            .map((kind) => element(elementOf[kind]!, toBase64(checksums[kind]!)))
        : [];
    return `<Part>${element('PartNumber', partNumber)}${element('ETag', `"${etag}"`)}${sums.join('')}</Part>`;
  });
  return Buffer.from(`<CompleteMultipartUpload${xmlNamespace}>${rows.join('')}</CompleteMultipartUpload>`);
}

function resultOf(
  dialect: Dialect,
  fields: ReadonlyMap<string, string>,
  headers: Readonly<Record<string, string>>,
): PutResult {
  const versionId = headers[`${dialect.prefix}version-id`];
  const ofHeaders = dialect.checksumsOf(headers, false).checksums;
  delete ofHeaders.md5;
  const whole = fields.get('ChecksumType') === 'COMPOSITE' ? {} : checksumsIn(fields);
  return {
    etag: bareEtag(fields.get('ETag')),
    ...(versionId === undefined ? {} : { versionId }),
    // OSS answers its CRC as a header; an ETag here is of parts and no MD5.
    checksums: { ...ofHeaders, ...whole },
    readBack: false,
  };
}

/** How S3 calls an object of these parts: the MD5 of their MD5s, and how many. Undefined where one is no MD5. */
function etagOfParts(parts: readonly UploadedPart[]): string | undefined {
  if (!parts.every(({ etag }) => /^[0-9a-f]{32}$/i.test(etag))) return undefined;
  const hash = createHash('md5');
  for (const { etag } of parts) hash.update(Buffer.from(etag, 'hex'));
  return `${hash.digest('hex')}-${parts.length}`;
}
