import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { SignatureV4 } from '@smithy/signature-v4';
import { rootCredentials } from '../../../storage-node/http/credentials.ts';
import { admit, type GateInput } from '../../../storage-node/http/gate.ts';
import { encodeStrictly, parseRequestLine } from '../../../storage-node/http/request-line.ts';
import { S3Error } from '../../../storage-node/http/s3-error.ts';
import { seeded } from '../support/memory-set.ts';

const [accessKey, secret, region] = ['admin', 'a-long-secret', 'us-east-1'];
const settings = { credentials: rootCredentials(accessKey, secret), region, nowMs: Date.now };

class Sha256 {
  constructor(key?: Uint8Array | string) {
    this.key = key;
  }
  readonly key;
  readonly pieces: Uint8Array[] = [];
  update(data: Uint8Array | string): void {
    this.pieces.push(Buffer.from(data as string));
  }
  async digest(): Promise<Uint8Array> {
    const { createHmac } = await import('node:crypto');
    const made = this.key === undefined ? createHash('sha256') : createHmac('sha256', this.key as string);
    for (const piece of this.pieces) made.update(piece);
    return made.digest();
  }
}

interface Sent {
  method: string;
  url: string;
  headers: Record<string, string>;
}

interface Make {
  method?: string;
  path?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  presign?: number;
  at?: Date;
  accessKey?: string;
  secret?: string;
  region?: string;
  service?: string;
}

/** A request signed by an implementation that is not ours. */
async function signed(make: Make = {}): Promise<Sent> {
  const signer = new SignatureV4({
    service: make.service ?? 's3',
    region: make.region ?? region,
    credentials: { accessKeyId: make.accessKey ?? accessKey, secretAccessKey: make.secret ?? secret },
    sha256: Sha256 as never,
    uriEscapePath: false,
    applyChecksum: true,
  });
  const path = (make.path ?? '/bucket/key').split('/').map(encodeStrictly).join('/');
  const request = {
    method: make.method ?? 'GET',
    protocol: 'http:',
    hostname: 'store.example.com',
    path,
    query: { ...make.query },
    headers: { host: 'store.example.com', 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', ...make.headers } as Record<
      string,
      string
    >,
  };
  const when = { signingDate: make.at ?? new Date() };
  const done =
    make.presign === undefined
      ? await signer.sign(request as never, when)
      : await signer.presign(request as never, {
          ...when,
          expiresIn: make.presign,
          unhoistableHeaders: new Set(Object.keys(make.headers ?? {})),
        });
  const {
    method,
    path: signedPath,
    headers,
    query: signedQuery,
  } = done as unknown as {
    method: string;
    path: string;
    headers: Record<string, string>;
    query?: Record<string, string>;
  };
  const query = Object.entries(signedQuery ?? {}).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
  );
  return { method, url: signedPath + (query.length === 0 ? '' : `?${query.join('&')}`), headers };
}

function inputOf({ method, url, headers }: Sent): GateInput {
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return { method, line: parseRequestLine(url), headers: lower, rawHeaders: Object.entries(lower).flat() };
}

function verdict(sent: Sent): string {
  try {
    return `in as ${admit(inputOf(sent), settings).principal.accessKey}`;
  } catch (error) {
    assert.ok(error instanceof S3Error, String(error));
    return error.code;
  }
}

for (const { name, make } of [
  { name: 'a plain GET', make: {} },
  { name: 'a listing', make: { path: '/bucket', query: { 'list-type': '2', prefix: 'a b/ü+%', delimiter: '/' } } },
  { name: 'an odd key', make: { method: 'PUT', path: "/bucket/../a b//ü+%'()*!~" } },
  {
    name: 'headers of ours',
    make: { method: 'PUT', headers: { 'x-amz-meta-colour': 'blue  green', 'content-type': 'text/plain' } },
  },
  { name: 'a presigned GET', make: { presign: 60 } },
  {
    name: 'a presigned PUT with a header',
    make: { method: 'PUT', presign: 604_800, headers: { 'x-amz-meta-a': 'b' } },
  },
  { name: 'the SHA-256 of its body', make: { method: 'PUT', headers: { 'x-amz-content-sha256': 'a'.repeat(64) } } },
  { name: 'a clock ten minutes ahead', make: { at: new Date(Date.now() + 600_000) } },
] as { name: string; make: Make }[]) {
  test(`the gate lets in ${name}`, async () => {
    assert.equal(verdict(await signed(make)), `in as ${accessKey}`);
  });
}

type Attack = { name: string; make?: Make; change?: (sent: Sent) => Sent };
const drop = (sent: Sent, header: string): Sent => {
  const { [header]: _, ...headers } = sent.headers;
  return { ...sent, headers };
};
const add =
  (headers: Record<string, string>) =>
  (sent: Sent): Sent => ({ ...sent, headers: { ...sent.headers, ...headers } });
const edit =
  (from: string | RegExp, to: string) =>
  (sent: Sent): Sent => ({
    ...sent,
    headers: { ...sent.headers, authorization: sent.headers['authorization']!.replace(from, to) },
  });
const url =
  (from: string | RegExp, to: string) =>
  (sent: Sent): Sent => ({ ...sent, url: sent.url.replace(from, to) });
const unsigned = [
  'x-amz-copy-source',
  'x-amz-copy-source-range',
  'x-amz-acl',
  'x-amz-grant-read',
  'x-amz-metadata-directive',
  'x-amz-meta-extra',
  'x-amz-storage-class',
  'x-amz-tagging',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-customer-key',
  'x-amz-website-redirect-location',
  'x-amz-object-lock-mode',
  'x-amz-bypass-governance-retention',
  'x-amz-security-token',
  'x-amz-mfa',
  'x-amz-expected-bucket-owner',
  'x-amz-if-match-size',
  'x-amz-checksum-crc32',
  'x-amz-source-expected-bucket-owner',
  'x-amz-replication-status',
];
const attacks: Attack[] = [
  { name: 'nobody', change: (sent) => drop(sent, 'authorization') },
  { name: 'an unknown key', make: { accessKey: 'nobody' } },
  { name: 'a wrong secret', make: { secret: 'another-secret' } },
  { name: 'an empty secret', make: { secret: 'x' } },
  { name: 'another region', make: { region: 'eu-west-1' } },
  { name: 'another service', make: { service: 'ec2' } },
  { name: 'a clock an hour behind', make: { at: new Date(Date.now() - 3_600_000) } },
  { name: 'a clock an hour ahead', make: { at: new Date(Date.now() + 3_600_000) } },
  { name: 'a day-old replay', make: { at: new Date(Date.now() - 86_400_000) } },
  { name: 'an expired link', make: { presign: 1, at: new Date(Date.now() - 5_000) } },
  { name: 'a link from the future', make: { presign: 60, at: new Date(Date.now() + 3_600_000) } },
  {
    name: 'a link of more than a week',
    make: { presign: 604_800 },
    change: url('X-Amz-Expires=604800', 'X-Amz-Expires=604801'),
  },
  { name: 'a link without end', make: { presign: 60 }, change: url(/X-Amz-Expires=\d+/, 'X-Amz-Expires=-1') },
  { name: 'a link made to last longer', make: { presign: 60 }, change: url('X-Amz-Expires=60', 'X-Amz-Expires=600') },
  { name: 'a link for another key', make: { presign: 60 }, change: url('/bucket/key', '/bucket/other') },
  { name: 'a link for another bucket', make: { presign: 60 }, change: url('/bucket/', '/other/') },
  {
    name: 'a link with a parameter more',
    make: { presign: 60 },
    change: (sent) => ({ ...sent, url: `${sent.url}&versionId=1` }),
  },
  { name: 'a link used to write', make: { presign: 60 }, change: (sent) => ({ ...sent, method: 'PUT' }) },
  { name: 'a link used to delete', make: { presign: 60 }, change: (sent) => ({ ...sent, method: 'DELETE' }) },
  { name: 'a link without its algorithm', make: { presign: 60 }, change: url('X-Amz-Algorithm=AWS4-HMAC-SHA256&', '') },
  { name: 'a link of another algorithm', make: { presign: 60 }, change: url('AWS4-HMAC-SHA256', 'AWS4-HMAC-SHA1') },
  { name: 'a link without signature', make: { presign: 60 }, change: url(/&?X-Amz-Signature=[0-9a-f]+/, '') },
  {
    name: 'a link with an empty signature',
    make: { presign: 60 },
    change: url(/X-Amz-Signature=[0-9a-f]+/, 'X-Amz-Signature='),
  },
  {
    name: 'a link with half a signature',
    make: { presign: 60 },
    change: url(/(X-Amz-Signature=[0-9a-f]{32})[0-9a-f]+/, '$1'),
  },
  {
    name: 'a link that signs no host',
    make: { presign: 60 },
    change: url('X-Amz-SignedHeaders=host', 'X-Amz-SignedHeaders='),
  },
  { name: 'another method', change: (sent) => ({ ...sent, method: 'DELETE' }) },
  { name: 'another path', change: (sent) => ({ ...sent, url: '/bucket/other' }) },
  {
    name: 'a path that would be normalized to the signed one',
    change: (sent) => ({ ...sent, url: '/bucket/x/../key' }),
  },
  { name: 'a path with a slash more', change: (sent) => ({ ...sent, url: '/bucket//key' }) },
  { name: 'a sub-resource more', change: (sent) => ({ ...sent, url: `${sent.url}?acl` }) },
  { name: 'another host', change: add({ host: 'evil.example.com' }) },
  { name: 'another date', change: add({ 'x-amz-date': '20200101T000000Z' }) },
  { name: 'no date', change: (sent) => drop(sent, 'x-amz-date') },
  { name: 'a date that is none', change: add({ 'x-amz-date': 'yesterday' }) },
  { name: 'no word on the body', change: (sent) => drop(sent, 'x-amz-content-sha256') },
  { name: 'another word on the body', change: add({ 'x-amz-content-sha256': 'b'.repeat(64) }) },
  {
    name: 'a streaming body that was not announced',
    change: add({ 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' }),
  },
  { name: 'a body form nobody knows', make: { headers: { 'x-amz-content-sha256': 'STREAMING-NOTHING' } } },
  { name: 'another algorithm', change: edit('AWS4-HMAC-SHA256', 'AWS4-HMAC-SHA512') },
  { name: 'the asymmetric algorithm', change: edit('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256') },
  { name: 'the algorithm in small letters', change: edit('AWS4-HMAC-SHA256', 'aws4-hmac-sha256') },
  { name: 'no signature', change: edit(/, Signature=[0-9a-f]+/, '') },
  { name: 'an empty signature', change: edit(/Signature=[0-9a-f]+/, 'Signature=') },
  { name: 'a signature in capitals', change: edit(/Signature=([0-9a-f]+)/, 'Signature=ABCDEF') },
  { name: 'no signed headers', change: edit(/SignedHeaders=[^,]+/, 'SignedHeaders=') },
  { name: 'a list of signed headers without host', change: edit('SignedHeaders=host;', 'SignedHeaders=') },
  { name: 'a header named twice in the list', change: edit('SignedHeaders=host;', 'SignedHeaders=host;host;') },
  { name: 'a credential of too few parts', change: edit('/s3/aws4_request', '/aws4_request') },
  { name: 'a credential of too many parts', change: edit('Credential=admin/', 'Credential=admin/more/') },
  { name: 'a credential of another day', change: edit(/Credential=admin\/\d{8}/, 'Credential=admin/20200101') },
  { name: 'a credential of another end', change: edit('aws4_request', 'aws3_request') },
  { name: 'a field too many', change: edit(/$/, ', Extra=1') },
  {
    name: 'basic authorization',
    change: add({ authorization: `Basic ${Buffer.from(`${accessKey}:${secret}`).toString('base64')}` }),
  },
  { name: 'a bearer token', change: add({ authorization: 'Bearer admin' }) },
  { name: 'version 2 of the signature', change: add({ authorization: 'AWS admin:c2lnbmF0dXJl' }) },
  { name: 'an empty authorization', change: add({ authorization: '' }) },
  { name: 'both ways at once', make: { presign: 60 }, change: add({ authorization: 'AWS4-HMAC-SHA256 Credential=x' }) },
  {
    name: 'OSS version 1 with a wrong signature',
    change: add({ authorization: `OSS ${accessKey}:AAAA`, date: new Date().toUTCString() }),
  },
  { name: 'OSS version 1 without a date', change: add({ authorization: `OSS ${accessKey}:AAAA` }) },
  {
    name: 'OSS version 1 with an old date',
    change: add({ authorization: `OSS ${accessKey}:AAAA`, date: 'Mon, 01 Jan 2024 00:00:00 GMT' }),
  },
  {
    name: 'an OSS link that has expired',
    make: {},
    change: (sent) => ({
      ...drop(sent, 'authorization'),
      url: `/bucket/key?OSSAccessKeyId=${accessKey}&Expires=1&Signature=x`,
    }),
  },
  {
    name: 'an OSS link with a wrong signature',
    change: (sent) => ({
      ...drop(sent, 'authorization'),
      url: `/bucket/key?OSSAccessKeyId=${accessKey}&Expires=99999999999&Signature=x`,
    }),
  },
  { name: 'OSS version 4 with nothing in it', change: add({ authorization: 'OSS4-HMAC-SHA256 ' }) },
  {
    name: 'OSS version 4 with a wrong signature',
    change: add({
      authorization: `OSS4-HMAC-SHA256 Credential=${accessKey}/20260101/cn/oss/aliyun_v4_request,Signature=00`,
    }),
  },
  ...unsigned.map((header): Attack => ({
    name: `an unsigned ${header}`,
    make: { method: 'PUT' },
    change: add({ [header]: 'x' }),
  })),
  ...unsigned.map((header): Attack => ({
    name: `an unsigned ${header} on a link`,
    make: { method: 'PUT', presign: 60 },
    change: add({ [header]: 'x' }),
  })),
];

test('there are at least a hundred attacks', () => assert.ok(attacks.length >= 100, String(attacks.length)));

for (const { name, make, change } of attacks) {
  test(`the gate turns away ${name}`, async () => {
    const sent = await signed(make ?? {});
    const changed = change?.(sent) ?? sent;
    let outcome: string;
    try {
      outcome = verdict(changed);
    } catch (error) {
      assert.ok(error instanceof S3Error, String(error));
      outcome = error.code;
    }
    assert.ok(!outcome.startsWith('in as'), outcome);
  });
}

test('a header that is there twice is refused, whichever of the two was signed', async () => {
  const input = inputOf(await signed({ headers: { 'x-amz-meta-a': '1' } }));
  const doubled = { ...input, rawHeaders: [...input.rawHeaders, 'X-Amz-Meta-A', '2'] };
  assert.throws(() => admit(doubled, settings), { code: 'InvalidRequest' });
});

test('of thousands of requests changed at random none that differs in what it means gets in, and none crashes', async () => {
  const random = seeded(4);
  const pick = (below: number): number => Math.floor(random() * below);
  const runs = Number(process.env['MUSTER_FUZZ_RUNS'] ?? 3_000);
  const base = [await signed(), await signed({ method: 'PUT', presign: 600, headers: { 'x-amz-meta-a': 'b' } })];
  const alphabet = 'aZ0%/?&=+.-;:, \u00e9';
  const mutate = (text: string): string => {
    const at = pick(text.length + 1);
    const piece = alphabet[pick(alphabet.length)]!;
    return text.slice(0, at) + (random() < 0.5 ? piece : '') + text.slice(at + pick(3));
  };
  for (let run = 0; run < runs; run++) {
    const sent = base[run % 2]!;
    const names = Object.keys(sent.headers);
    const target = pick(names.length + 1);
    const name = names[target];
    const changed: Sent =
      name === undefined
        ? { ...sent, url: `/${mutate(sent.url.slice(1))}` }
        : { ...sent, headers: { ...sent.headers, [name]: mutate(sent.headers[name]!) } };
    let outcome: string;
    try {
      outcome = verdict(changed);
    } catch (error) {
      assert.ok(error instanceof S3Error, `${JSON.stringify(changed)}: ${String(error)}`);
      continue;
    }
    if (!outcome.startsWith('in as')) continue;
    // Let in: then it must mean what was signed, to the last parameter.
    const [before, after] = [parseRequestLine(sent.url), parseRequestLine(changed.url)];
    assert.deepEqual([after.path, new Map([...after.query])], [before.path, new Map([...before.query])]);
    for (const header of names) {
      const same =
        (changed.headers[header] ?? '').trim().replace(/ +/g, ' ') === sent.headers[header]!.trim().replace(/ +/g, ' ');
      assert.ok(
        same || header === 'authorization' || !/^(x-amz-|host$)/.test(header),
        `${header}: ${changed.headers[header]}`,
      );
    }
  }
});
