import { type Dialect } from '../dialect/dialect.ts';
import { bareEtag } from '../dialect/etag.ts';
import { type AnsweredCall, type Caller } from '../http/caller.ts';
import { describingHeaders } from '../object-headers.ts';
import { encodeKey, encodeText } from '../signing/text.ts';
import {
  type ByteRange,
  type CallOptions,
  type Checksums,
  type CopyOptions,
  type CopySource,
  type ObjectClient,
  type PutResult,
  type UploadedPart,
  type UploadRef,
} from '../types.ts';
import { fieldsOf, parsed } from './documents.ts';
import { checksumElements, checksumsIn } from './multipart.ts';

export interface CopyDeps {
  caller: Caller;
  dialect: Dialect;
  bucket: string;
  head: ObjectClient['head'];
}

/** Copies inside the store. */
export function copyingCalls({ caller, dialect, bucket, head }: CopyDeps): Pick<ObjectClient, 'copy' | 'copyPart'> {
  const { prefix } = dialect;
  return {
    async copy(from: CopySource, toKey: string, options: CopyOptions = {}, call?: CallOptions): Promise<PutResult> {
      const { replace, tags, storageClass } = options;
      const headers = {
        ...sourceHeaders(dialect, bucket, from),
        ...describingHeaders(dialect, { ...replace, tags, storageClass }),
        ...dialect.conditionHeaders(options),
      };
      if (replace !== undefined) headers[`${prefix}metadata-directive`] = 'REPLACE';
      if (tags !== undefined) headers[`${prefix}tagging-directive`] = dialect.name === 's3' ? 'REPLACE' : 'Replace';
      return parsed(
        caller,
        { method: 'PUT', key: toKey, headers },
        {
          options: call,
          root: 'CopyObjectResult',
          read: (reader, answer) =>
            copied(dialect, fieldsOf(reader, ['ETag', 'ChecksumType', ...checksumElements]), answer),
        },
      );
    },
    async copyPart(
      upload: UploadRef & { partNumber: number },
      from: CopySource & { range?: ByteRange },
      call?: CallOptions,
    ): Promise<UploadedPart> {
      const { key, uploadId, partNumber } = upload;
      const headers = sourceHeaders(dialect, bucket, from);
      const { sizeBytes, rangeText } = await extentOf(head, { bucket, from, call });
      if (rangeText !== undefined) headers[`${prefix}copy-source-range`] = rangeText;
      return parsed(
        caller,
        { method: 'PUT', key, query: { partNumber, uploadId }, headers },
        {
          options: call,
          root: 'CopyPartResult',
          read: (reader) => {
            const fields = fieldsOf(reader, ['ETag', ...checksumElements]);
            return { partNumber, etag: bareEtag(fields.get('ETag')), sizeBytes, checksums: checksumsIn(fields) };
          },
        },
      );
    },
  };
}

function sourceHeaders({ prefix }: Dialect, bucket: string, from: CopySource): Record<string, string> {
  const version = from.versionId === undefined ? '' : `?versionId=${encodeText(from.versionId)}`;
  const headers = { [`${prefix}copy-source`]: `/${from.bucket ?? bucket}/${encodeKey(from.key)}${version}` };
  if (from.ifMatch !== undefined) headers[`${prefix}copy-source-if-match`] = `"${from.ifMatch}"`;
  return headers;
}

/** A range without an end, or none, is as long as the source is. */
async function extentOf(
  head: ObjectClient['head'],
  { bucket, from, call }: { bucket: string; from: CopySource & { range?: ByteRange }; call: CallOptions | undefined },
): Promise<{ sizeBytes: number; rangeText: string | undefined }> {
  const { range } = from;
  if (range?.last !== undefined) {
    return { sizeBytes: range.last - range.first + 1, rangeText: `bytes=${range.first}-${range.last}` };
  }
  if (from.bucket !== undefined && from.bucket !== bucket) return { sizeBytes: Number.NaN, rangeText: undefined };
  const info = await head(from.key, from.versionId === undefined ? {} : { versionId: from.versionId }, call);
  const first = range?.first ?? 0;
  const rangeText = range === undefined ? undefined : `bytes=${first}-${info.sizeBytes - 1}`;
  return { sizeBytes: info.sizeBytes - first, rangeText };
}

function copied(dialect: Dialect, fields: ReadonlyMap<string, string>, { headers }: AnsweredCall): PutResult {
  const etag = bareEtag(fields.get('ETag'));
  const versionId = headers[`${dialect.prefix}version-id`];
  const ofBody: Checksums = fields.get('ChecksumType') === 'COMPOSITE' ? {} : checksumsIn(fields);
  const { checksums } = dialect.checksumsOf({ ...headers, etag }, false);
  return {
    etag,
    ...(versionId === undefined ? {} : { versionId }),
    checksums: { ...checksums, ...ofBody },
    readBack: false,
  };
}
