/**
 * An S3 that keeps objects in memory: for measuring what a mover costs, where a real store would take most of the
 * machine. It knows what a copy needs (listing, GET, HEAD, PUT) and checks no signature. Bytes that are not those of the
 * CRC-64/NVME that came along are refused, as S3 does; other checksums are kept and answered unseen.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { checksumsOf } from '../../activities/objects/checksum/hasher.ts';
import { fromBase64 } from '../../activities/objects/checksum/values.ts';

interface Kept {
  bytes: Buffer;
  etag: string;
  headers: Record<string, string>;
  writtenAt: Date;
}
type Bucket = Map<string, Kept>;

export interface MemoryStore {
  endpoint: string;
  /** Makes a bucket, or empties it. */
  bucket(name: string): void;
  /** How many objects a bucket has. */
  objects(name: string): number;
  stop(): Promise<void>;
}

const pageKeys = 1_000;

export async function startMemoryStore(): Promise<MemoryStore> {
  const buckets = new Map<string, Bucket>();
  const server = createServer((request, response) => {
    answer(buckets, request, response).catch((err: unknown) => response.destroy(err as Error));
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bucket: (name) => void buckets.set(name, new Map()),
    objects: (name) => buckets.get(name)?.size ?? 0,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  buckets: ReadonlyMap<string, Bucket>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url!, 'http://x');
  const [, name = '', ...rest] = url.pathname.split('/');
  const bucket = buckets.get(name);
  const key = decodeURIComponent(rest.join('/'));
  if (bucket === undefined) return refuse(response, 404, 'NoSuchBucket');
  if (key === '') return aboutBucket(bucket, url.searchParams, response);
  if (request.method === 'PUT') return put(bucket, key, request, response);
  const found = bucket.get(key);
  if (found === undefined) return refuse(response, 404, 'NoSuchKey');
  response.writeHead(200, {
    ...found.headers,
    'content-length': found.bytes.length,
    'last-modified': found.writtenAt.toUTCString(),
    etag: `"${found.etag}"`,
  });
  response.end(request.method === 'HEAD' ? undefined : found.bytes);
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' }).end(`<Error><Code>${code}</Code></Error>`);
}

function aboutBucket(bucket: Bucket, query: URLSearchParams, response: ServerResponse): void {
  response.setHeader('content-type', 'application/xml');
  if (query.has('versioning')) return void response.end('<VersioningConfiguration/>');
  if (query.has('object-lock')) return refuse(response, 404, 'ObjectLockConfigurationNotFoundError');
  response.end(pageOf(bucket, query));
}

function pageOf(bucket: Bucket, query: URLSearchParams): string {
  const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
  const rows: string[] = [];
  const wanted = sortedKeys(bucket);
  let at = after === '' ? 0 : firstBehind(wanted, after);
  for (; at < wanted.length && rows.length < pageKeys; at++) {
    const key = wanted[at]!;
    const { bytes, etag, writtenAt } = bucket.get(key)!;
    rows.push(
      `<Contents><Key>${key}</Key><LastModified>${writtenAt.toISOString()}</LastModified><ETag>&quot;${etag}&quot;</ETag><Size>${bytes.length}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
    );
  }
  const more = at < wanted.length;
  const next = more ? `<NextContinuationToken>${wanted[at - 1]}</NextContinuationToken>` : '';
  return `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Prefix></Prefix><KeyCount>${rows.length}</KeyCount><MaxKeys>${pageKeys}</MaxKeys><IsTruncated>${more}</IsTruncated>${rows.join('')}${next}</ListBucketResult>`;
}

/** Sorted once for as many keys as there are. */
const sorted = new WeakMap<Bucket, string[]>();
function sortedKeys(bucket: Bucket): readonly string[] {
  let keys = sorted.get(bucket);
  if (keys?.length !== bucket.size) sorted.set(bucket, (keys = [...bucket.keys()].sort()));
  return keys;
}

function firstBehind(keys: readonly string[], after: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function put(bucket: Bucket, key: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  // What came framed would be kept framed.
  if (request.headers['content-encoding']?.includes('aws-chunked')) return refuse(response, 501, 'NotImplemented');
  if (request.headers['if-none-match'] === '*' && bucket.has(key)) return refuse(response, 412, 'PreconditionFailed');
  const bytes = Buffer.concat(pieces);
  const etag = createHash('md5').update(bytes).digest('hex');
  const headers = keptHeaders(request.headers);
  const claimed = headers['x-amz-checksum-crc64nvme'];
  if (claimed !== undefined && fromBase64('crc64nvme', claimed) !== checksumsOf(['crc64nvme'], bytes).crc64nvme)
    return refuse(response, 400, 'BadDigest');
  bucket.set(key, { bytes, etag, headers, writtenAt: new Date() });
  const checksums = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-checksum-')));
  response.writeHead(200, { ...checksums, etag: `"${etag}"`, 'content-length': 0 }).end();
}

/** What a client may have stored with an object. */
function keptHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const isKept = name === 'content-type' || name.startsWith('x-amz-meta-') || name.startsWith('x-amz-checksum-');
    if (isKept && typeof value === 'string') kept[name] = value;
  }
  return kept;
}
