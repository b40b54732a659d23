import { bareEtag, partsOfEtag } from './dialect/etag.ts';
import { type Dialect, type Headers } from './dialect/dialect.ts';
import { ObjectStoreError } from './failure.ts';
import { bytesOfText, readMetadata, textOf, writeMetadata } from './header-text.ts';
import { encodeText } from './signing/text.ts';
import { type ContentHeaders, type ObjectInfo, type Retention } from './types.ts';

const contentNames = {
  contentType: 'content-type',
  contentEncoding: 'content-encoding',
  contentDisposition: 'content-disposition',
  contentLanguage: 'content-language',
  cacheControl: 'cache-control',
  expires: 'expires',
} as const satisfies Record<keyof ContentHeaders, string>;
const contentKeys = Object.keys(contentNames) as (keyof ContentHeaders)[];

const headerNames = (prefix: string) => ({
  storageClass: `${prefix}storage-class`,
  restore: `${prefix}restore`,
  versionId: `${prefix}version-id`,
  tagCount: `${prefix}tagging-count`,
  metadata: `${prefix}meta-`,
});
const namesOf = { s3: headerNames('x-amz-'), oss: headerNames('x-oss-') };

/** What GET and HEAD say of an object. */
export function infoOf(dialect: Dialect, key: string, answer: { status: number; headers: Headers }): ObjectInfo {
  const { headers } = answer;
  const etag = bareEtag(headers['etag']);
  const names = namesOf[dialect.name];
  const storageClass = headers[names.storageClass] ?? dialect.storageClass;
  const restore = restoreOf(headers[names.restore]);
  const info: ObjectInfo = {
    key,
    sizeBytes: sizeOf(headers),
    etag,
    lastModifiedMs: Date.parse(headers['last-modified'] ?? ''),
    storageClass,
    content: contentOf(headers),
    metadata: metadataOf(dialect, headers),
    ...dialect.checksumsOf(headers, answer.status === 206),
    archived: isArchived(dialect, { headers, storageClass, restored: restore?.ongoing === false }),
  };
  const versionId = headers[names.versionId];
  const parts = numberOf(headers['x-amz-mp-parts-count']) ?? partsOfEtag(etag);
  const tagCount = numberOf(headers[names.tagCount]);
  const retention = retentionOf(headers);
  const legalHold = headers['x-amz-object-lock-legal-hold'];
  if (versionId !== undefined) info.versionId = versionId;
  if (parts !== undefined) info.parts = parts;
  if (tagCount !== undefined) info.tagCount = tagCount;
  if (restore !== undefined) info.restore = restore;
  if (retention !== undefined) info.retention = retention;
  if (legalHold !== undefined) info.legalHold = legalHold === 'ON';
  return info;
}

/** Of the whole object: behind the slash of a range, else the length of what comes. */
function sizeOf(headers: Headers): number {
  const range = headers['content-range'];
  const total = range === undefined ? undefined : /\/(\d+)$/.exec(range)?.[1];
  return Number(total ?? headers['content-length'] ?? Number.NaN);
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function contentOf(headers: Headers): ContentHeaders {
  const content: ContentHeaders = {};
  for (const key of contentKeys) {
    const value = headers[contentNames[key]];
    if (value !== undefined) content[key] = textOf(value);
  }
  return content;
}

function metadataOf(dialect: Dialect, headers: Headers): Record<string, string> {
  const start = namesOf[dialect.name].metadata;
  const metadata: Record<string, string> = {};
  for (const name in headers)
    if (name.startsWith(start)) metadata[name.slice(start.length)] = readMetadata(headers[name]!);
  return metadata;
}

function restoreOf(text: string | undefined): ObjectInfo['restore'] {
  if (text === undefined) return undefined;
  const until = Date.parse(/expiry-date="([^"]+)"/.exec(text)?.[1] ?? '');
  return { ongoing: text.includes('ongoing-request="true"'), ...(Number.isNaN(until) ? {} : { untilMs: until }) };
}

function isArchived(
  dialect: Dialect,
  { headers, storageClass, restored }: { headers: Headers; storageClass: string; restored: boolean },
): boolean {
  // S3's intelligent tiering archives by itself and says so apart.
  const away = headers['x-amz-archive-status'] !== undefined || dialect.archiveClasses.includes(storageClass);
  return away && !restored;
}

function retentionOf(headers: Headers): Retention | undefined {
  const mode = headers['x-amz-object-lock-mode'];
  const untilMs = Date.parse(headers['x-amz-object-lock-retain-until-date'] ?? '');
  if ((mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') || Number.isNaN(untilMs)) return undefined;
  return { mode, untilMs };
}

/** What a writer may have stored with an object. */
export interface Described {
  content?: ContentHeaders | undefined;
  metadata?: Record<string, string> | undefined;
  tags?: Record<string, string> | undefined;
  storageClass?: string | undefined;
  retention?: Retention | undefined;
  legalHold?: boolean | undefined;
}

/** The same as headers of a request, byte for byte. @throws ObjectStoreError OBJECT_STORE_REFUSED for what does not fit. */
export function describingHeaders({ prefix }: Dialect, described: Described): Record<string, string> {
  const { content, metadata, tags, storageClass, retention, legalHold } = described;
  const headers: Record<string, string> = {};
  for (const key of contentKeys) {
    const value = content?.[key];
    if (value !== undefined) headers[contentNames[key]] = bytesOfText(oneLine(contentNames[key], value));
  }
  for (const name in metadata)
    headers[metadataHeader(prefix, name)] = writeMetadata(oneLine(name, metadata[name]!, 'metadata '));
  if (storageClass !== undefined) headers[`${prefix}storage-class`] = storageClass;
  if (tags !== undefined && Object.keys(tags).length > 0) headers[`${prefix}tagging`] = tagText(tags);
  if (retention !== undefined) {
    headers['x-amz-object-lock-mode'] = retention.mode;
    headers['x-amz-object-lock-retain-until-date'] = new Date(retention.untilMs).toISOString();
  }
  if (legalHold !== undefined) headers['x-amz-object-lock-legal-hold'] = legalHold ? 'ON' : 'OFF';
  return headers;
}

/** Headers of metadata by prefix and name: objects of one writer have the same few names. */
const metadataHeaders = new Map<string, Map<string, string>>();
const mostNames = 1_000;

function metadataHeader(prefix: string, name: string): string {
  let known = metadataHeaders.get(prefix);
  if (known === undefined || known.size >= mostNames) metadataHeaders.set(prefix, (known = new Map()));
  let header = known.get(name);
  if (header === undefined) {
    if (!/^[\w.!#$%&'*+^`|~-]+$/.test(name)) throw unfit(`metadata cannot be named ${JSON.stringify(name)}`);
    header = `${prefix}meta-${name.toLowerCase()}`;
    known.set(name, header);
  }
  return header;
}

function oneLine(name: string, value: string, kind = ''): string {
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) throw unfit(`${kind}${name} holds what no header can`);
  return value;
}

function unfit(why: string): ObjectStoreError {
  return new ObjectStoreError('OBJECT_STORE_REFUSED', why, {});
}

/** Tags as a query, which is how both dialects send them in a header. */
export function tagText(tags: Record<string, string>): string {
  return Object.entries(tags)
    .map(([name, value]) => `${encodeText(name)}=${encodeText(value)}`)
    .join('&');
}
