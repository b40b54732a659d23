import { type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import { type Answer, type ParsedRequest } from '../operation.ts';

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
    headers[s3Name(name)] = name === 'x-oss-storage-class' ? storageClass(value) : value;
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

function storageClass(value: string): string {
  return { Standard: 'STANDARD', IA: 'STANDARD_IA' }[value] ?? value;
}

function ossName(name: string): string {
  const special = differing.find(([, s3]) => s3 === name);
  if (special !== undefined) return special[0];
  return name.startsWith(prefixes.s3) ? prefixes.oss + name.slice(prefixes.s3.length) : name;
}

export function renamed<T>(headers: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [ossName(name.toLowerCase()), value]));
}

export function toOss(answer: Answer | undefined): Answer | undefined {
  if (answer === undefined) return undefined;
  const translated: Answer = { ...answer, headers: renamed(answer.headers ?? {}) };
  if (typeof answer.body === 'string') {
    translated.body = answer.body
      .replace(' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', '')
      .replaceAll('<StorageClass>STANDARD</StorageClass>', '<StorageClass>Standard</StorageClass>');
  }
  return translated;
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
