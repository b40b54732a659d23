import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { emptySha256, sha256, stampOf, unsignedPayload } from '../../activities/objects/signing/family.ts';
import { createAwsSigner, createOssSigner } from '../../activities/objects/signing/requests.ts';
import { encodeKey, encodeText, type Query, queryText } from '../../activities/objects/signing/text.ts';

/** The keys of AWS's examples ("Signature Calculations for the Authorization Header", Amazon S3 API Reference). */
const example = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const exampleAtMs = Date.UTC(2013, 4, 24);
const welcome = 'Welcome to Amazon S3.';

interface Published {
  name: string;
  method: string;
  key?: string;
  query?: Query;
  headers?: Record<string, string>;
  payloadHash?: string;
  signature: string;
}

const published: Published[] = [
  {
    name: 'a read of a range',
    method: 'GET',
    key: 'test.txt',
    headers: { range: 'bytes=0-9' },
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    name: 'a write of a key with an odd character',
    method: 'PUT',
    key: 'test$file.text',
    headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    payloadHash: sha256(welcome),
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    name: 'a parameter without a value',
    method: 'GET',
    query: { lifecycle: '' },
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    name: 'a listing',
    method: 'GET',
    query: { prefix: 'J', 'max-keys': 2 },
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
];
for (const { name, method, key, query, headers: given, payloadHash, signature } of published) {
  test(`S3: ${name} is signed as AWS publishes it`, () => {
    const headers: Record<string, string> = { ...given };
    const sign = createAwsSigner('us-east-1', 'examplebucket.s3.amazonaws.com');
    const path = key === undefined ? '/' : `/${encodeKey(key)}`;
    const request = { method, path, query: queryText(query, false), headers, payloadHash: payloadHash ?? emptySha256 };
    sign(request, example, exampleAtMs);
    const names = [...Object.keys(given ?? {}), 'host', 'x-amz-content-sha256', 'x-amz-date'].toSorted().join(';');
    assert.equal(
      headers['authorization'],
      `AWS4-HMAC-SHA256 Credential=${example.accessKeyId}/20130524/us-east-1/s3/aws4_request, SignedHeaders=${names}, Signature=${signature}`,
    );
    assert.equal(headers['host'], undefined);
  });
}

/** Of the vendor's own SDK for Go (oss/signer/v4_test.go): odd parameters, headers that are not signed. */
const vendors = [
  { name: 'with keys', atSeconds: 1_702_743_657, day: '20231216', sessionToken: undefined },
  { name: 'with a token', atSeconds: 1_702_784_856, day: '20231217', sessionToken: 'token' },
];
const vendorSignatures = {
  'with keys': 'e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe',
  'with a token': 'b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea',
};
for (const { name, atSeconds, day, sessionToken } of vendors) {
  test(`OSS: a request ${name} is signed as the vendor signs it`, () => {
    const headers: Record<string, string> = {
      ...{ 'x-oss-head1': 'value', abc: 'value', zabc: 'value', xyz: 'value', 'content-type': 'text/plain' },
    };
    const parameters = { param1: 'value1', '+param1': 'value3', '|param1': 'value4', '+param2': '', '|param2': '' };
    const query = queryText({ ...parameters, param2: '' }, true);
    const path = `/bucket/${encodeKey('1234+-/123/1.txt')}`;
    const keys = { accessKeyId: 'ak', secretAccessKey: 'sk', ...(sessionToken === undefined ? {} : { sessionToken }) };
    createOssSigner('cn-hangzhou')({ method: 'PUT', path, query, headers, payloadHash: '' }, keys, atSeconds * 1000);
    const signature = vendorSignatures[name as keyof typeof vendorSignatures];
    const credential = `ak/${day}/cn-hangzhou/oss/aliyun_v4_request`;
    assert.equal(headers['authorization'], `OSS4-HMAC-SHA256 Credential=${credential},Signature=${signature}`);
  });
}

interface AliSigning {
  getCanonicalRequest(method: string, request: object, bucket: string, object: string): string;
  getStringToSign(region: string, date: string, canonical: string): string;
  getSignatureV4(secret: string, date: string, region: string, text: string): string;
}
const ali = createRequire(import.meta.url)('ali-oss/lib/common/signUtils.js') as AliSigning;

test('OSS: any request is signed as ali-oss signs it', () => {
  const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
  const query = fc.dictionary(fc.stringMatching(/^[a-z-]{1,10}$/), fc.stringMatching(/^[\w.~ /+:-]{1,12}$/), {
    maxKeys: 4,
  });
  const metadata = fc.stringMatching(/^[ -~]{0,20}$/);
  fc.assert(
    fc.property(key, query, metadata, (objectKey, queries, value) => {
      const headers: Record<string, string> = { 'content-type': 'text/plain', 'x-oss-meta-a': value };
      const request = { method: 'PUT', path: `/b/${encodeKey(objectKey)}`, query: queryText(queries, true) };
      createOssSigner('cn-hangzhou')({ ...request, headers, payloadHash: '' }, example, exampleAtMs);
      const theirs = ali.getCanonicalRequest('PUT', { headers, queries }, 'b', objectKey);
      const text = ali.getStringToSign('cn-hangzhou', stampOf(exampleAtMs), theirs);
      const signature = ali.getSignatureV4(example.secretAccessKey, '20130524', 'cn-hangzhou', text);
      assert.equal(headers['authorization']!.split('Signature=')[1], signature);
    }),
    { numRuns: 200 },
  );
});

test('the key of a day is made anew for another day and for other keys', () => {
  const sign = createAwsSigner('us-east-1', 'host');
  const signature = (keys: typeof example, atMs: number): string => {
    const headers: Record<string, string> = {};
    sign({ method: 'GET', path: '/', query: '', headers, payloadHash: unsignedPayload }, keys, atMs);
    return headers['authorization']!;
  };
  const alone = (keys: typeof example, atMs: number): string => {
    const headers: Record<string, string> = {};
    const once = createAwsSigner('us-east-1', 'host');
    once({ method: 'GET', path: '/', query: '', headers, payloadHash: unsignedPayload }, keys, atMs);
    return headers['authorization']!;
  };
  const other = { ...example, secretAccessKey: 'other' };
  const dayMs = 86_400_000;
  for (const [keys, atMs] of [
    [example, exampleAtMs],
    [other, exampleAtMs],
    [example, exampleAtMs],
    [example, exampleAtMs + dayMs],
    [other, exampleAtMs + 1000],
  ] as const) {
    assert.equal(signature(keys, atMs), alone(keys, atMs));
  }
});

test('a session’s token is sent and signed', () => {
  const headers: Record<string, string> = {};
  const request = { method: 'GET', path: '/', query: '', headers, payloadHash: unsignedPayload };
  createAwsSigner('us-east-1', 'host')(request, { ...example, sessionToken: 'a token' }, exampleAtMs);
  assert.equal(headers['x-amz-security-token'], 'a token');
  assert.match(headers['authorization']!, /SignedHeaders=[^,]*x-amz-security-token/);
});

const encodings: { text: string; encoded: string }[] = [
  { text: 'plain-._~09AZaz', encoded: 'plain-._~09AZaz' },
  { text: ' +%', encoded: '%20%2B%25' },
  { text: "!'()*", encoded: '%21%27%28%29%2A' },
  { text: 'ü漢😀', encoded: '%C3%BC%E6%BC%A2%F0%9F%98%80' },
  { text: '\u0000\n\u007f', encoded: '%00%0A%7F' },
  { text: 'a//b/../c', encoded: 'a//b/../c' },
  { text: '?#&=;:@[]|\\^`"<>{}$,', encoded: '%3F%23%26%3D%3B%3A%40%5B%5D%7C%5C%5E%60%22%3C%3E%7B%7D%24%2C' },
];
for (const { text, encoded } of encodings) {
  test(`the key ${JSON.stringify(text)} is sent as ${encoded}`, () => {
    assert.equal(encodeKey(text), encoded);
    assert.equal(encodeText(text), encoded.replaceAll('/', '%2F'));
    assert.equal(decodeURIComponent(encoded), text);
  });
}

test('half a surrogate pair is refused: no store could keep it', () => {
  assert.throws(() => encodeKey('a\ud800b'), { code: 'OBJECT_STORE_REFUSED', message: /no valid Unicode/ });
});

const queries: { name: string; query: Query | undefined; aws: string; oss: string }[] = [
  { name: 'none', query: undefined, aws: '', oss: '' },
  { name: 'undefined is left out', query: { a: undefined, b: 1 }, aws: 'b=1', oss: 'b=1' },
  { name: 'no value', query: { uploads: '', prefix: 'x' }, aws: 'prefix=x&uploads=', oss: 'prefix=x&uploads' },
  { name: 'sorted by bytes', query: { a: 1, B: 2, 'a-b': 3 }, aws: 'B=2&a=1&a-b=3', oss: 'B=2&a=1&a-b=3' },
  { name: 'encoded', query: { 'key-marker': 'a b/+' }, aws: 'key-marker=a%20b%2F%2B', oss: 'key-marker=a%20b%2F%2B' },
];
for (const { name, query, aws, oss } of queries) {
  test(`query: ${name}`, () => {
    assert.deepEqual([queryText(query, false), queryText(query, true)], [aws, oss]);
  });
}
