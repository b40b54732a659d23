import { type ObjectInfo, type StoredHeader } from '../../object/model.ts';
import { tagCountOf } from '../../object/tags.ts';
import { httpDate } from './dates.ts';
import { type ByteRange } from './ranges.ts';
import { invalidArgument } from './refusals.ts';

/** What GET and HEAD answer about an object, without its length. */
export function objectHeaders(info: ObjectInfo): Record<string, string> {
  const headers: Record<string, string> = {
    'accept-ranges': 'bytes',
    'last-modified': httpDate(info.lastModifiedMs),
    etag: `"${info.etag}"`,
    ...info.metadata.headers,
  };
  headers['content-type'] ??= 'binary/octet-stream';
  if (info.shownVersionId !== undefined) headers['x-amz-version-id'] = info.shownVersionId;
  if (info.storageClass !== 'STANDARD') headers['x-amz-storage-class'] = info.storageClass;
  const tagCount = tagCountOf(info);
  if (tagCount > 0) headers['x-amz-tagging-count'] = String(tagCount);
  for (const name in info.metadata.user) headers[`x-amz-meta-${name}`] = info.metadata.user[name]!;
  return headers;
}

/** Adds length and, for a part of the object, where it lies. Undefined: the whole object. */
export function addLength(headers: Record<string, string>, sizeBytes: number, range: ByteRange | undefined): void {
  if (range === undefined) {
    headers['content-length'] = String(sizeBytes);
    return;
  }
  headers['content-length'] = String(range.last - range.first + 1);
  headers['content-range'] = `bytes ${range.first}-${range.last}/${sizeBytes}`;
}

const overrides: readonly StoredHeader[] = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
];

/** Query parameters by which a signed request asks for other headers than those stored. */
export const overrideParameters: readonly string[] = overrides.map((name) => `response-${name}`);

/** @throws S3Error InvalidArgument for a value that could begin a header of its own. */
export function addOverrides(headers: Record<string, string>, query: ReadonlyMap<string, string>): void {
  if (query.size === 0) return;
  for (const name of overrides) {
    const value = query.get(`response-${name}`);
    if (value === undefined) continue;
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) {
      throw invalidArgument('Header value cannot be represented', `response-${name}`, value);
    }
    // Node writes headers byte by byte (Latin-1); the query was UTF-8.
    headers[name] = Buffer.from(value, 'utf8').toString('latin1');
  }
}
