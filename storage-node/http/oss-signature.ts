import { createHash, createHmac } from 'node:crypto';
import { type GateInput, type GateSettings } from './gate.ts';
import { encodeStrictly } from './request-line.ts';
import { S3Error } from './s3-error.ts';
import {
  checkStamp,
  encodePath,
  parseCredential,
  sameText,
  signHex,
  type SignatureFamily,
  signingKey,
} from './sigv4.ts';

const ossFamily: SignatureFamily = {
  algorithm: 'OSS4-HMAC-SHA256',
  seed: 'aliyun_v4',
  service: 'oss',
  terminator: 'aliyun_v4_request',
};
const skewMs = 15 * 60 * 1000;

/** Query parameters that are part of what is signed in version 1 (Alibaba Cloud, "Include signatures in the header"). */
const signedParameters = new Set([
  'acl',
  'append',
  'bucketInfo',
  'callback',
  'cname',
  'comp',
  'continuation-token',
  'cors',
  'delete',
  'encryption',
  'endTime',
  'img',
  'inventory',
  'lifecycle',
  'live',
  'location',
  'logging',
  'metaQuery',
  'objectMeta',
  'partNumber',
  'policy',
  'position',
  'qos',
  'qosInfo',
  'referer',
  'replication',
  'replicationLocation',
  'replicationProgress',
  'requestPayment',
  'resourceGroup',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
  'restore',
  'security-token',
  'sequential',
  'startTime',
  'stat',
  'status',
  'style',
  'styleName',
  'symlink',
  'tagging',
  'transferAcceleration',
  'uploadId',
  'uploads',
  'versionId',
  'versioning',
  'versions',
  'vod',
  'website',
  'worm',
  'wormExtend',
  'wormId',
  'x-oss-ac-forward-allow',
  'x-oss-ac-source-ip',
  'x-oss-ac-subnet-mask',
  'x-oss-ac-vpc-id',
  'x-oss-async-process',
  'x-oss-enable-md5',
  'x-oss-enable-sha1',
  'x-oss-enable-sha256',
  'x-oss-hash-ctx',
  'x-oss-process',
  'x-oss-request-payer',
  'x-oss-traffic-limit',
]);

/** Proves a request signed in the OSS way: version 1 in header or query, version 4 in the header. @throws S3Error. */
export function verifyOss(input: GateInput, settings: GateSettings): { accessKey: string; owner: string } {
  // The operations are S3's and know headers by S3's names, which neither version of this signature covers.
  const foreign = Object.keys(input.headers).find((name) => name.startsWith('x-amz-'));
  if (foreign !== undefined) {
    const message = `There were headers present in the request which were not signed: ${foreign}`;
    throw new S3Error('AccessDenied', 403, message);
  }
  if (input.headers['authorization']?.startsWith(`${ossFamily.algorithm} `) === true) return verifyV4(input, settings);
  return verifyV1(input, settings);
}

function verifyV1(input: GateInput, settings: GateSettings): { accessKey: string; owner: string } {
  const { headers, line } = input;
  const header = /^OSS ([^:\s]+):(\S+)$/.exec(headers['authorization'] ?? '');
  const presigned = header === null && headers['authorization'] === undefined;
  const accessKey = presigned ? (line.query.get('OSSAccessKeyId') ?? '') : (header?.[1] ?? '');
  const signature = presigned ? (line.query.get('Signature') ?? '') : (header?.[2] ?? '');
  let date: string;
  if (presigned) {
    date = line.query.get('Expires') ?? '';
    if (!/^\d{1,12}$/.test(date) || Number(date) * 1000 < settings.nowMs())
      throw new S3Error('AccessDenied', 403, 'Request has expired.');
  } else {
    date = headers['x-oss-date'] ?? headers['date'] ?? '';
    const atMs = Date.parse(date);
    if (Number.isNaN(atMs)) throw new S3Error('AccessDenied', 403, 'OSS authentication requires a valid Date.');
    if (Math.abs(settings.nowMs() - atMs) > skewMs) {
      throw new S3Error(
        'RequestTimeTooSkewed',
        403,
        'The difference between the request time and the current time is too large.',
      );
    }
  }
  const text = [
    input.method,
    headers['content-md5'] ?? '',
    headers['content-type'] ?? '',
    date,
    `${canonicalOssHeaders(headers)}${canonicalResource(input)}`,
  ].join('\n');
  const account = settings.credentials.lookup(accessKey);
  const right = sameText(
    createHmac('sha1', account?.secret ?? `${accessKey}?`)
      .update(text)
      .digest('base64'),
    signature,
  );
  return outcome(accessKey, account, right);
}

function canonicalOssHeaders(headers: Readonly<Record<string, string>>): string {
  return Object.keys(headers)
    .filter((name) => name.startsWith('x-oss-'))
    .sort()
    .map((name) => `${name}:${headers[name]!.trim()}\n`)
    .join('');
}

function canonicalResource({ line }: GateInput): string {
  const parameters = [...line.query]
    .filter(([name]) => signedParameters.has(name) || name.startsWith('x-oss-'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
    .join('&');
  return line.path + (parameters === '' ? '' : `?${parameters}`);
}

function verifyV4(input: GateInput, settings: GateSettings): { accessKey: string; owner: string } {
  const { headers, line } = input;
  const fields = new Map<string, string>();
  for (const field of headers['authorization']!.slice(ossFamily.algorithm.length + 1).split(',')) {
    const equals = field.indexOf('=');
    if (equals > 0) fields.set(field.slice(0, equals).trim(), field.slice(equals + 1).trim());
  }
  // The region of an OSS signature has no `oss-` before it; here any name is one region.
  const claimed = (fields.get('Credential') ?? '').split('/')[2] ?? '';
  const scope = parseCredential(fields.get('Credential') ?? '', ossFamily, claimed);
  const stamp = headers['x-oss-date'] ?? '';
  checkStamp(stamp, scope.date, settings.nowMs());
  const additional = (fields.get('AdditionalHeaders') ?? '').split(';').filter((name) => name !== '');
  const names = new Set(additional);
  for (const name of Object.keys(headers)) {
    if (name === 'content-type' || name === 'content-md5' || name.startsWith('x-oss-')) names.add(name);
  }
  const canonicalHeaders = [...names]
    .sort()
    .map((name) => `${name}:${(headers[name] ?? '').trim()}\n`)
    .join('');
  const query = [...line.query]
    .map(([name, value]): [string, string] => [encodeStrictly(name), encodeStrictly(value)])
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
    .join('&');
  const payload = headers['x-oss-content-sha256'] ?? 'UNSIGNED-PAYLOAD';
  if (payload !== 'UNSIGNED-PAYLOAD')
    throw new S3Error('InvalidArgument', 400, 'x-oss-content-sha256 must be UNSIGNED-PAYLOAD');
  const canonical = [input.method, encodePath(line.path), query, canonicalHeaders, additional.join(';'), payload].join(
    '\n',
  );
  const hashed = createHash('sha256').update(canonical).digest('hex');
  const text = `${ossFamily.algorithm}\n${stamp}\n${scope.date}/${scope.region}/oss/aliyun_v4_request\n${hashed}`;
  const account = settings.credentials.lookup(scope.accessKey);
  const key = signingKey(ossFamily, scope, account?.secret ?? `${scope.accessKey}?`);
  return outcome(scope.accessKey, account, sameText(signHex(key, text), fields.get('Signature') ?? ''));
}

function outcome(
  accessKey: string,
  account: { owner: string } | undefined,
  right: boolean,
): { accessKey: string; owner: string } {
  if (account === undefined)
    throw new S3Error('InvalidAccessKeyId', 403, 'The OSS Access Key Id you provided does not exist in our records.');
  if (!right) {
    const message =
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.';
    throw new S3Error('SignatureDoesNotMatch', 403, message);
  }
  return { accessKey, owner: account.owner };
}
