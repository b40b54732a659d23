import { type ObjectCredentials } from '../place.ts';
import { awsFamily, createSigner, ossFamily, type SignatureFamily, stampOf, unsignedPayload } from './family.ts';

/** A request as its signature sees it. */
export interface ToSign {
  method: string;
  /** Percent-encoded: what is signed, which for OSS has the bucket in it wherever that stands on the wire. */
  path: string;
  /** As `queryText` makes it. */
  query: string;
  /** Lower-case names. Signed are all (S3), or those that OSS signs. Gets those of the signature added. */
  headers: Record<string, string>;
  /** S3 alone: SHA-256 of the body in hex, or UNSIGNED-PAYLOAD. */
  payloadHash: string;
}

/** Adds the headers of a signature to a request's. */
export type RequestSigner = (request: ToSign, credentials: ObjectCredentials, nowMs: number) => void;

/**
 * AWS Signature Version 4 over the headers given and `host` ("Create a signed AWS API request", S3's variant: the path
 * is encoded once and never normalised). `host`: with its port where that is not the scheme's.
 */
export function createAwsSigner(region: string, host: string): RequestSigner {
  const signer = createSigner(awsFamily, region);
  return ({ method, path, query, headers, payloadHash }, credentials, nowMs) => {
    const stamp = stampOf(nowMs);
    headers['x-amz-content-sha256'] = payloadHash;
    headers['x-amz-date'] = stamp;
    if (credentials.sessionToken !== undefined) headers['x-amz-security-token'] = credentials.sessionToken;
    let lines = '';
    let signed = '';
    for (const name of sortedNames(headers)) {
      lines += `${name}:${name === 'host' ? host : oneLine(headers[name]!)}\n`;
      signed += signed === '' ? name : `;${name}`;
    }
    const canonical = `${method}\n${path}\n${query}\n${lines}\n${signed}\n${payloadHash}`;
    const { credential, signature } = signer.sign(credentials, stamp, canonical);
    headers['authorization'] = authorization(awsFamily, credential, `SignedHeaders=${signed}`, signature);
  };
}

/**
 * OSS's version 4 ("Include a V4 signature in the header"): signed are content-type, content-md5 and x-oss-*; bodies
 * never.
 */
export function createOssSigner(region: string): RequestSigner {
  const signer = createSigner(ossFamily, region);
  return ({ method, path, query, headers }, credentials, nowMs) => {
    const stamp = stampOf(nowMs);
    headers['x-oss-content-sha256'] = unsignedPayload;
    headers['x-oss-date'] = stamp;
    if (credentials.sessionToken !== undefined) headers['x-oss-security-token'] = credentials.sessionToken;
    let lines = '';
    for (const name of Object.keys(headers).sort()) {
      if (name.startsWith('x-oss-') || name === 'content-type' || name === 'content-md5') {
        lines += `${name}:${headers[name]!.trim()}\n`;
      }
    }
    const canonical = `${method}\n${path}\n${query}\n${lines}\n\n${unsignedPayload}`;
    const { credential, signature } = signer.sign(credentials, stamp, canonical);
    headers['authorization'] = authorization(ossFamily, credential, undefined, signature);
  };
}

function authorization(
  { algorithm }: SignatureFamily,
  credential: string,
  signed: string | undefined,
  signature: string,
): string {
  const middle = signed === undefined ? '' : `${signed}, `;
  const gap = signed === undefined ? ',' : ', ';
  return `${algorithm} Credential=${credential}${gap}${middle}Signature=${signature}`;
}

/**
 * The names to sign, in order, `host` among them. Servers disagree on the bytes of a text beyond ASCII; only AWS's own
 * headers must be signed. Inserted one by one: they are few, and this is done for every request.
 */
function sortedNames(headers: Readonly<Record<string, string>>): string[] {
  const names = ['host'];
  for (const name in headers) {
    if (!name.startsWith('x-amz-') && !isAscii(headers[name]!)) continue;
    let at = names.length;
    while (at > 0 && names[at - 1]! > name) at--;
    if (at === names.length) names.push(name);
    else names.splice(at, 0, name);
  }
  return names;
}

function isAscii(text: string): boolean {
  return !/[^\u0000-\u007f]/.test(text);
}

/** AWS signs a value without white space around it and with single spaces in it. */
function oneLine(value: string): string {
  const trimmed = value.trim();
  return trimmed.includes('  ') ? trimmed.replace(/ {2,}/g, ' ') : trimmed;
}
