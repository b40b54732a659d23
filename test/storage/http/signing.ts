/** Requests signed in each way the gate knows, by implementations that are not ours. */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { createRequire } from 'node:module';
import { SignatureV4 } from '@smithy/signature-v4';
import { type Dialect } from '../../../storage-node/http/operation.ts';
import { encodeStrictly } from '../../../storage-node/http/request-line.ts';

/** A request; before it is signed and after. Paths are as they go out. */
export interface Sendable {
  method: string;
  path: string;
  /** Decoded. */
  query: Record<string, string>;
  /** Lower-case names, `host` among them. */
  headers: Record<string, string | string[]>;
}

export interface By {
  accessKey: string;
  secret: string;
  region: string;
  atMs: number;
  /** Of links. */
  seconds: number;
}

export interface Way {
  name: string;
  dialect: Dialect;
  /** Whether the signature is in the query. */
  link: boolean;
  /** Header or parameter that holds the signature. */
  proof: string;
  sign(wanted: Sendable, by: By): Sendable | Promise<Sendable>;
}

type Texts = Record<string, string>;

/** Query parameters that version 1 of OSS's signature does not cover: they say how much of a listing is shown. */
export const uncoveredInV1 = new Set(['list-type', 'prefix', 'delimiter', 'marker', 'max-keys']);

interface OssSigning {
  buildCanonicalString(method: string, resource: string, request: object, expires?: string): string;
  computeSignature(secret: string, canonical: string): string;
  authorization(accessKey: string, secret: string, canonical: string): string;
  authorizationV4(
    ...all: [
      accessKey: string,
      secret: string,
      region: string,
      method: string,
      request: object,
      bucket?: string,
      object?: string,
      additional?: string[],
    ]
  ): string;
}
const ossSigning = createRequire(import.meta.url)('ali-oss/lib/common/signUtils.js') as OssSigning;

/** As the signer of AWS wants it; a hash with a secret, an HMAC. */
class Sha256 {
  readonly hash: Hash | Hmac;
  constructor(secret?: string | Uint8Array) {
    this.hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret);
  }
  update(data: string | Uint8Array): void {
    this.hash.update(data);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.hash.digest());
  }
  reset(): void {}
}

async function awsRequest(wanted: Sendable, by: By, link: boolean): Promise<Sendable> {
  const signer = new SignatureV4({
    ...{ service: 's3', region: by.region, uriEscapePath: false, applyChecksum: false },
    credentials: { accessKeyId: by.accessKey, secretAccessKey: by.secret },
    sha256: Sha256 as never,
  });
  const headers = { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', ...wanted.headers } as Texts;
  const request = { ...wanted, headers, protocol: 'http:', hostname: headers['host']! };
  const signingDate = new Date(by.atMs);
  const unhoistableHeaders = new Set(Object.keys(wanted.headers));
  const signed = link
    ? await signer.presign(request, { signingDate, expiresIn: by.seconds, unhoistableHeaders })
    : await signer.sign(request, { signingDate });
  return { ...wanted, query: { ...(signed.query as Texts) }, headers: { ...signed.headers } };
}

/** What version 1 covers of a query. */
function covered(query: Texts): Texts {
  return Object.fromEntries(Object.entries(query).filter(([name]) => !uncoveredInV1.has(name)));
}

function ossV1(wanted: Sendable, by: By): Sendable {
  const headers = { ...wanted.headers, 'x-oss-date': new Date(by.atMs).toUTCString() };
  const canonical = ossSigning.buildCanonicalString(wanted.method, decodeURIComponent(wanted.path), {
    headers,
    parameters: covered(wanted.query),
  });
  const authorization = ossSigning.authorization(by.accessKey, by.secret, canonical);
  return { ...wanted, headers: { ...headers, authorization } };
}

function ossV1Link(wanted: Sendable, by: By): Sendable {
  const expires = String(Math.floor(by.atMs / 1000) + by.seconds);
  const request = { headers: wanted.headers, parameters: covered(wanted.query) };
  const canonical = ossSigning.buildCanonicalString(wanted.method, decodeURIComponent(wanted.path), request, expires);
  const signature = ossSigning.computeSignature(by.secret, canonical);
  return {
    ...wanted,
    query: { ...wanted.query, OSSAccessKeyId: by.accessKey, Expires: expires, Signature: signature },
  };
}

function ossV4(wanted: Sendable, by: By): Sendable {
  const stamp = new Date(by.atMs).toISOString().replace(/[-:]|\.\d+/g, '');
  const headers = { ...wanted.headers, 'x-oss-date': stamp, 'x-oss-content-sha256': 'UNSIGNED-PAYLOAD' };
  const [, bucket = '', key = ''] = /^\/([^/]*)\/?(.*)$/.exec(decodeURIComponent(wanted.path)) ?? [];
  // A parameter without value is signed, and sent, without `=`.
  const queries = Object.fromEntries(Object.entries(wanted.query).map(([name, value]) => [name, value || null]));
  const who = [by.accessKey, by.secret, by.region] as const;
  const authorization = ossSigning.authorizationV4(...who, wanted.method, { headers, queries }, bucket, key, ['host']);
  return { ...wanted, headers: { ...headers, authorization } };
}

export const ways: readonly Way[] = [
  {
    ...{ name: 'AWS version 4', dialect: 's3', link: false, proof: 'authorization' },
    sign: (wanted, by) => awsRequest(wanted, by, false),
  },
  {
    ...{ name: 'an AWS version 4 link', dialect: 's3', link: true, proof: 'X-Amz-Signature' },
    sign: (wanted, by) => awsRequest(wanted, by, true),
  },
  { name: 'OSS version 1', dialect: 'oss', link: false, proof: 'authorization', sign: ossV1 },
  { name: 'an OSS version 1 link', dialect: 'oss', link: true, proof: 'Signature', sign: ossV1Link },
  { name: 'OSS version 4', dialect: 'oss', link: false, proof: 'authorization', sign: ossV4 },
];

/** The target of the request line. */
export function targetOf({ path, query }: Sendable): string {
  const pairs = Object.entries(query).map(([name, value]) =>
    value === '' ? encodeStrictly(name) : `${encodeStrictly(name)}=${encodeStrictly(value)}`,
  );
  return path + (pairs.length === 0 ? '' : `?${pairs.join('&')}`);
}
