import { type IncomingMessage } from 'node:http';
import { type Dialect, type Principal } from './operation.ts';
import { type Credentials } from './credentials.ts';
import { verifyOss } from './oss-signature.ts';
import { type RequestLine } from './request-line.ts';
import { S3Error } from './s3-error.ts';
import {
  awsFamily,
  canonicalRequest,
  checkStamp,
  parseCredential,
  sameText,
  signHex,
  signingKey,
  type SignatureClaim,
  stampMs,
  stringToSign,
} from './sigv4.ts';

/** How the body is proved. */
export type BodyProof =
  | { kind: 'unsigned' }
  /** The whole body has this SHA-256 (hex). */
  | { kind: 'sha256'; hex: string }
  /** aws-chunked: each chunk signed by a chain that begins with the request's signature, or none is. */
  | { kind: 'chunked'; signed: SignedChunks | undefined; trailer: boolean };

export interface SignedChunks {
  key: Buffer;
  stamp: string;
  scope: string;
  seed: string;
}

export interface Admission {
  principal: Principal;
  dialect: Dialect;
  body: BodyProof;
}

export interface GateInput {
  method: string;
  line: RequestLine;
  headers: Readonly<Record<string, string>>;
  /** Names as they came, to find those that came more than once. */
  rawHeaders: readonly string[];
}

export interface GateSettings {
  credentials: Credentials;
  region: string;
  nowMs: () => number;
}

/** Headers that need not be signed though they are `x-amz-*`: a wrong value shows itself. */
const exempt = new Set([
  'x-amz-content-sha256',
  'x-amz-decoded-content-length',
  'x-amz-trailer',
  'x-amz-sdk-checksum-algorithm',
  'x-amz-checksum-algorithm',
]);
const longestPresignedSeconds = 604_800;

/**
 * The one gate before the router: whoever gets past it is proved, and every header that means something was signed.
 * What it does not know is refused.
 * @throws S3Error.
 */
export function admit(input: GateInput, settings: GateSettings): Admission {
  refuseDoubled(input.rawHeaders);
  const authorization = input.headers['authorization'];
  const { query } = input.line;
  if (authorization !== undefined) {
    if (query.has('X-Amz-Signature') || query.has('Signature'))
      throw denied('Only one way of authorization is allowed.');
    if (authorization.startsWith('AWS4-'))
      return admitAws(input, settings, headerClaim(input, settings, authorization));
    if (authorization.startsWith('OSS')) return admitOss(input, settings);
    throw new S3Error('InvalidArgument', 400, 'Unsupported Authorization Type');
  }
  if (query.has('X-Amz-Algorithm') || query.has('X-Amz-Signature'))
    return admitAws(input, settings, queryClaim(input, settings));
  if (query.has('OSSAccessKeyId')) return admitOss(input, settings);
  throw denied('Access Denied.');
}

function denied(message: string): S3Error {
  return new S3Error('AccessDenied', 403, message);
}

/** Headers of which two could mean different things to two readers. */
function refuseDoubled(rawHeaders: readonly string[]): void {
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const single = name.startsWith('x-amz-') || name.startsWith('x-oss-') || singles.has(name);
    if (single && seen.has(name)) throw new S3Error('InvalidRequest', 400, `The header ${name} was given twice.`);
    seen.add(name);
  }
}

const singles = new Set([
  'authorization',
  'host',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'range',
  'transfer-encoding',
]);

interface Claimed {
  claim: SignatureClaim;
  presigned: boolean;
  payloadHash: string;
}

function headerClaim(input: GateInput, settings: GateSettings, authorization: string): Claimed {
  const fields = new Map<string, string>();
  const [algorithm, ...rest] = authorization.split(' ');
  for (const field of rest.join(' ').split(',')) {
    const equals = field.indexOf('=');
    if (equals > 0) fields.set(field.slice(0, equals).trim(), field.slice(equals + 1).trim());
  }
  const [credential, signed, signature] = ['Credential', 'SignedHeaders', 'Signature'].map((name) => fields.get(name));
  if (algorithm !== awsFamily.algorithm || fields.size !== 3 || !credential || !signed || !signature) {
    throw new S3Error('AuthorizationHeaderMalformed', 400, 'The authorization header that you provided is not valid.');
  }
  const scope = parseCredential(credential, awsFamily, settings.region);
  const stamp = input.headers['x-amz-date'] ?? stampOfDate(input.headers['date']);
  checkStamp(stamp, scope.date, settings.nowMs());
  const payloadHash = input.headers['x-amz-content-sha256'];
  if (payloadHash === undefined)
    throw new S3Error('InvalidRequest', 400, 'Missing required header for this request: x-amz-content-sha256');
  return { claim: { ...scope, stamp, signedHeaders: signed.split(';'), signature }, presigned: false, payloadHash };
}

function stampOfDate(date: string | undefined): string {
  const atMs = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(atMs) ? '' : new Date(atMs).toISOString().replace(/[-:]|\.\d+/g, '');
}

function queryClaim(input: GateInput, settings: GateSettings): Claimed {
  const { query } = input.line;
  const of = (name: string): string => query.get(name) ?? '';
  const malformed = (why: string): S3Error => new S3Error('AuthorizationQueryParametersError', 400, why);
  if (of('X-Amz-Algorithm') !== awsFamily.algorithm)
    throw malformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"');
  const scope = parseCredential(of('X-Amz-Credential'), awsFamily, settings.region);
  const stamp = of('X-Amz-Date');
  const seconds = Number(of('X-Amz-Expires'));
  if (!/^\d{1,7}$/.test(of('X-Amz-Expires')) || seconds < 1 || seconds > longestPresignedSeconds) {
    throw malformed('X-Amz-Expires must be between 1 and 604800 seconds');
  }
  const atMs = stampMs(stamp);
  if (Number.isNaN(atMs) || !stamp.startsWith(scope.date))
    throw malformed('X-Amz-Date must be of the day of the credential');
  const ageMs = settings.nowMs() - atMs;
  if (ageMs > seconds * 1000) throw denied('Request has expired');
  if (ageMs < -15 * 60 * 1000) throw denied('Request is not yet valid');
  const claim = {
    ...scope,
    stamp,
    signedHeaders: of('X-Amz-SignedHeaders').split(';'),
    signature: of('X-Amz-Signature'),
  };
  return {
    claim,
    presigned: true,
    payloadHash: input.headers['x-amz-content-sha256'] ?? query.get('X-Amz-Content-Sha256') ?? 'UNSIGNED-PAYLOAD',
  };
}

function admitAws(input: GateInput, settings: GateSettings, claimed: Claimed): Admission {
  const { claim, payloadHash } = claimed;
  checkSignedHeaders(input.headers, claim.signedHeaders);
  const account = settings.credentials.lookup(claim.accessKey);
  // Unknown keys are verified against a secret of their own, so that they take as long as known ones.
  const key = signingKey(awsFamily, claim, account?.secret ?? `${claim.accessKey}?`);
  const canonical = canonicalRequest(
    input,
    claim.signedHeaders,
    claimed.presigned && payloadHash === 'UNSIGNED-PAYLOAD' ? 'UNSIGNED-PAYLOAD' : payloadHash,
  );
  const right = sameText(signHex(key, stringToSign(awsFamily, claim, canonical)), claim.signature);
  if (account === undefined) {
    throw new S3Error('InvalidAccessKeyId', 403, 'The AWS Access Key Id you provided does not exist in our records.');
  }
  if (!right) {
    const message =
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.';
    throw new S3Error('SignatureDoesNotMatch', 403, message);
  }
  return {
    principal: principalOf(claim.accessKey, account.owner),
    dialect: 's3',
    body: bodyProof(claim, key, payloadHash),
  };
}

function checkSignedHeaders(headers: Readonly<Record<string, string>>, signed: readonly string[]): void {
  const names = new Set(signed);
  if (!names.has('host')) throw denied('There were headers present in the request which were not signed: host');
  if (names.size !== signed.length || signed.some((name) => name !== name.toLowerCase())) {
    throw new S3Error(
      'AuthorizationHeaderMalformed',
      400,
      'SignedHeaders must be lower case and name each header once.',
    );
  }
  for (const name of Object.keys(headers)) {
    const matters = name.startsWith('x-amz-') || name.startsWith('x-oss-');
    if (matters && !names.has(name) && !exempt.has(name)) {
      throw denied(`There were headers present in the request which were not signed: ${name}`);
    }
  }
}

function bodyProof(claim: SignatureClaim, key: Buffer, payloadHash: string): BodyProof {
  const scope = `${claim.date}/${claim.region}/${awsFamily.service}/${awsFamily.terminator}`;
  const signed = { key, stamp: claim.stamp, scope, seed: claim.signature };
  switch (payloadHash) {
    case 'UNSIGNED-PAYLOAD':
      return { kind: 'unsigned' };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'chunked', signed, trailer: false };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'chunked', signed, trailer: true };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'chunked', signed: undefined, trailer: true };
    default:
      if (/^[0-9a-f]{64}$/.test(payloadHash)) return { kind: 'sha256', hex: payloadHash };
      throw new S3Error(
        'InvalidArgument',
        400,
        'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a streaming form, or a valid sha256 value.',
      );
  }
}

function admitOss(input: GateInput, settings: GateSettings): Admission {
  const { accessKey, owner } = verifyOss(input, settings);
  return { principal: principalOf(accessKey, owner), dialect: 'oss', body: { kind: 'unsigned' } };
}

function principalOf(accessKey: string, owner: string): Principal {
  return { accessKey, owner } as Principal;
}

/** Single-valued headers by lower-case name. */
export function plainHeaders(message: Pick<IncomingMessage, 'headers'>): Record<string, string> {
  const plain: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(message.headers)) {
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(',') : value;
  }
  return plain;
}
