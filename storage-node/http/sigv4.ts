import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { encodeStrictly, type RequestLine } from './request-line.ts';
import { S3Error } from './s3-error.ts';

/** The words that differ between AWS's signature and OSS's version 4. */
export interface SignatureFamily {
  algorithm: string;
  /** Put before the secret for the first key. */
  seed: string;
  service: string;
  terminator: string;
}

export const awsFamily: SignatureFamily = {
  algorithm: 'AWS4-HMAC-SHA256',
  seed: 'AWS4',
  service: 's3',
  terminator: 'aws4_request',
};

export interface Scope {
  accessKey: string;
  /** `YYYYMMDD`. */
  date: string;
  region: string;
}

/** A parsed claim of who signed what. */
export interface SignatureClaim extends Scope {
  signedHeaders: readonly string[];
  signature: string;
  /** `YYYYMMDDTHHMMSSZ`. */
  stamp: string;
}

const skewMs = 15 * 60 * 1000;
const keptKeys = 1_000;

/** @throws S3Error when the scope is not one of this family and region. */
export function parseCredential(text: string, family: SignatureFamily, region: string): Scope {
  const parts = text.split('/');
  const [accessKey, date, claimedRegion, service, terminator] = parts.slice(-5);
  const complete = parts.length === 5 && accessKey !== '' && /^\d{8}$/.test(date ?? '');
  if (!complete || service !== family.service || terminator !== family.terminator) {
    const message = 'The authorization header is malformed; the credential is wrong.';
    throw new S3Error('AuthorizationHeaderMalformed', 400, message);
  }
  if (claimedRegion !== region) {
    const message = `The authorization header is malformed; the region '${claimedRegion}' is wrong; expecting '${region}'`;
    throw new S3Error('AuthorizationHeaderMalformed', 400, message, { fields: { Region: region } });
  }
  return { accessKey: accessKey!, date: date!, region };
}

/** Unix milliseconds of `YYYYMMDDTHHMMSSZ`; NaN for anything else. */
export function stampMs(stamp: string): number {
  const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(stamp);
  if (match === null) return Number.NaN;
  const [, year, month, day, hour, minute, second] = match;
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
}

/** @throws S3Error RequestTimeTooSkewed, AccessDenied for a stamp that is none or not of the scope's day. */
export function checkStamp(stamp: string, date: string, nowMs: number): void {
  const atMs = stampMs(stamp);
  if (Number.isNaN(atMs) || !stamp.startsWith(date)) {
    throw new S3Error('AccessDenied', 403, 'The date of the request is missing or does not fit its credential.');
  }
  if (Math.abs(nowMs - atMs) > skewMs) {
    const message = "The difference between the request time and the server's time is too large.";
    throw new S3Error('RequestTimeTooSkewed', 403, message);
  }
}

const keys = new Map<string, Buffer>();

/** The key of a day, region and secret; kept, for making it costs more than using it. */
export function signingKey(family: SignatureFamily, scope: Scope, secret: string): Buffer {
  const name = `${family.seed}\n${scope.accessKey}\n${secret}\n${scope.date}\n${scope.region}`;
  const known = keys.get(name);
  if (known !== undefined) return known;
  const steps = [scope.date, scope.region, family.service, family.terminator];
  let key = Buffer.from(family.seed + secret);
  for (const step of steps) key = createHmac('sha256', key).update(step).digest();
  if (keys.size >= keptKeys) keys.clear();
  keys.set(name, key);
  return key;
}

export function stringToSign(family: SignatureFamily, claim: Scope & { stamp: string }, canonical: string): string {
  const scope = `${claim.date}/${claim.region}/${family.service}/${family.terminator}`;
  return `${family.algorithm}\n${claim.stamp}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`;
}

export function signHex(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex');
}

/** Compares without telling by its time where they differ. */
export function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** The canonical request of AWS (S3 takes the path as it came, encoded once). */
export function canonicalRequest(
  request: { method: string; line: RequestLine; headers: Readonly<Record<string, string>> },
  signedHeaders: readonly string[],
  payloadHash: string,
): string {
  const query = canonicalQuery(request.line, new Set(['X-Amz-Signature']));
  const headers = signedHeaders
    .map((name) => `${name}:${(request.headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`)
    .join('');
  const path = encodePath(request.line.path);
  return `${request.method}\n${path}\n${query}\n${headers}\n${signedHeaders.join(';')}\n${payloadHash}`;
}

export function encodePath(path: string): string {
  return path.split('/').map(encodeStrictly).join('/');
}

function canonicalQuery(line: RequestLine, without: ReadonlySet<string>): string {
  const pairs: [string, string][] = [];
  for (const [name, value] of line.query) {
    if (!without.has(name)) pairs.push([encodeStrictly(name), encodeStrictly(value)]);
  }
  return pairs
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}
