import { type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import { StorageError } from '../../errors.ts';
import { type Answer, type ParsedRequest } from '../operation.ts';
import { S3Error } from '../s3-error.ts';

/**
 * OSS says most things in S3's words with another prefix. Operations that mean the same in both are written once, for
 * S3; here their requests and answers are put into the other's words.
 */
const prefixes = { s3: 'x-amz-', oss: 'x-oss-' } as const;

/** Headers whose names differ by more than the prefix: OSS's, then S3's. */
const differing: readonly (readonly [oss: string, s3: string])[] = [
  ['x-oss-copy-source-if-match', 'x-amz-copy-source-if-match'],
  ['x-oss-server-side-encryption-key-id', 'x-amz-server-side-encryption-aws-kms-key-id'],
];
/** Of OSS alone, with no meaning to the operations here. */
const dropped = new Set([
  'x-oss-date',
  'x-oss-content-sha256',
  'x-oss-security-token',
  'x-oss-user-agent',
  'x-oss-object-acl',
  'x-oss-acl',
]);

export function toS3(request: ParsedRequest): ParsedRequest {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (dropped.has(name)) continue;
    headers[s3Name(name)] = s3Value(name, value);
  }
  // OSS forbids overwriting by a header of its own.
  if (headers['x-amz-forbid-overwrite'] === 'true') headers['if-none-match'] = '*';
  delete headers['x-amz-forbid-overwrite'];
  return { ...request, headers };
}

function s3Name(name: string): string {
  const special = differing.find(([oss]) => oss === name);
  if (special !== undefined) return special[1];
  return name.startsWith(prefixes.oss) ? prefixes.s3 + name.slice(prefixes.oss.length) : name;
}

function s3Value(name: string, value: string): string {
  if (name === 'x-oss-storage-class') return { Standard: 'STANDARD', IA: 'STANDARD_IA' }[value] ?? value;
  // `Copy` or `Replace`, where S3 shouts.
  return name === 'x-oss-tagging-directive' ? value.toUpperCase() : value;
}

/** OSS's nearest word for each of S3's classes: all that are here can be read at once. */
const ossClasses: Readonly<Record<string, string>> = {
  STANDARD: 'Standard',
  REDUCED_REDUNDANCY: 'Standard',
  INTELLIGENT_TIERING: 'Standard',
  STANDARD_IA: 'IA',
  ONEZONE_IA: 'IA',
  GLACIER_IR: 'IA',
};

function ossName(name: string): string {
  const special = differing.find(([, s3]) => s3 === name);
  if (special !== undefined) return special[0];
  return name.startsWith(prefixes.s3) ? prefixes.oss + name.slice(prefixes.s3.length) : name;
}

export function renamed(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => {
      const translated = ossName(name.toLowerCase());
      return [translated, translated === 'x-oss-storage-class' ? (ossClasses[value] ?? value) : value];
    }),
  );
}

export function toOss(answer: Answer | undefined): Answer | undefined {
  if (answer === undefined) return undefined;
  const translated: Answer = { ...answer, headers: renamed(answer.headers ?? {}) };
  // A document with many rows comes as bytes.
  if (answer.body !== undefined) translated.body = inOssWords(Buffer.from(answer.body).toString());
  return translated;
}

function inOssWords(document: string): string {
  return document
    .replace(' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', '')
    .replace(/<StorageClass>([A-Z_]+)</g, (text, name: string) => text.replace(name, ossClasses[name] ?? name));
}

/** What OSS calls it when `x-oss-forbid-overwrite` forbade a write; any other error as it is. */
export function refusedInOss(error: unknown, request: ParsedRequest): unknown {
  if (error instanceof S3Error) return inOssNames(error);
  const forbidden = request.headers['x-oss-forbid-overwrite'] === 'true';
  if (!forbidden || !(error instanceof StorageError) || error.code !== 'PreconditionFailed') return error;
  // The source of a copy has conditions of its own.
  if (error.details['condition'] !== 'If-None-Match') return error;
  const message = 'The object you specified already exists and can not be overwritten.';
  return new S3Error('FileAlreadyExists', 409, message, { cause: error });
}

/** A refusal that names a header names that of the request. */
function inOssNames(error: S3Error): S3Error {
  if (![error.message, ...Object.values(error.fields)].some((text) => text.includes(prefixes.s3))) return error;
  const { code, status, message, headers } = error;
  const named = (text: string): string => text.replaceAll(prefixes.s3, prefixes.oss);
  const fields = Object.fromEntries(Object.entries(error.fields).map(([name, text]) => [name, named(text)]));
  return new S3Error(code, status, named(message), { fields, headers, cause: error.cause });
}

/** An answer whose head is written while it streams gets OSS's names, too. */
export function speakOss(response: ServerResponse, requestId: string): void {
  const writeHead = response.writeHead.bind(response) as (
    status: number,
    headers?: OutgoingHttpHeaders,
  ) => ServerResponse;
  response.writeHead = ((status: number, headers?: OutgoingHttpHeaders) =>
    writeHead(status, {
      ...renamed((headers ?? {}) as Record<string, string>),
      'x-oss-request-id': requestId,
    })) as ServerResponse['writeHead'];
}
