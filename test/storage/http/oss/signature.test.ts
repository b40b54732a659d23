import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rootCredentials } from '../../../../storage-node/http/credentials.ts';
import { admit } from '../../../../storage-node/http/gate.ts';
import { parseRequestLine } from '../../../../storage-node/http/request-line.ts';
import { S3Error } from '../../../../storage-node/http/s3-error.ts';

interface Example {
  key: string;
  secret: string;
  at: string;
  method: string;
  url: string;
  headers: Record<string, string>;
}

function verdict({ key, secret, at, method, url, headers }: Example): string {
  try {
    const input = { method, line: parseRequestLine(url), headers, rawHeaders: Object.entries(headers).flat() };
    const settings = { credentials: rootCredentials(key, secret), region: 'us-east-1', nowMs: () => Date.parse(at) };
    const { principal, dialect, body } = admit(input, settings);
    return `in as ${principal.accessKey}, ${dialect}, ${body.kind}`;
  } catch (error) {
    assert.ok(error instanceof S3Error, String(error));
    return error.code;
  }
}

/** Examples that Alibaba Cloud's documentation and SDKs publish, signature included. */
const v1: Example = {
  ...{ key: '44CF9590006BF252F707', secret: 'OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV' },
  ...{ at: 'Thu, 17 Nov 2005 18:50:00 GMT', method: 'PUT', url: '/oss-example/nelson' },
  headers: {
    'content-md5': 'ODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=',
    'content-type': 'text/html',
    date: 'Thu, 17 Nov 2005 18:49:58 GMT',
    host: 'oss-example.oss-cn-hangzhou.aliyuncs.com',
    'x-oss-meta-author': 'foo@bar.com',
    'x-oss-magic': 'abracadabra',
    authorization: 'OSS 44CF9590006BF252F707:26NBxoKdsyly4EDv6inkoDft/yA=',
  },
};
const v1Link: Example = {
  ...{ key: v1.key, secret: v1.secret, at: '2006-03-09T07:20:00Z', method: 'GET', headers: { host: 'any' } },
  url: '/oss-example/oss-api.pdf?OSSAccessKeyId=44CF9590006BF252F707&Expires=1141889120&Signature=EwaNTn1erJGkimiJ9WmXgwnANLc%3D',
};
const v4: Example = {
  ...{ key: 'ak', secret: 'sk', at: '2023-12-16T16:20:57Z', method: 'PUT' },
  url: '/bucket/1234+-/123/1.txt?param1=value1&%2Bparam1=value3&%7Cparam1=value4&%2Bparam2&%7Cparam2&param2',
  headers: {
    ...{ 'x-oss-head1': 'value', abc: 'value', zabc: 'value', xyz: 'value', 'content-type': 'text/plain' },
    'x-oss-content-sha256': 'UNSIGNED-PAYLOAD',
    'x-oss-date': '20231216T162057Z',
    authorization:
      'OSS4-HMAC-SHA256 Credential=ak/20231216/cn-hangzhou/oss/aliyun_v4_request,Signature=e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe',
  },
};

const url = (from: string | RegExp, to: string) => (one: Example) => ({ ...one, url: one.url.replace(from, to) });
const header = (name: string, value: string) => (one: Example) => ({
  ...one,
  headers: { ...one.headers, [name]: value },
});
const less = (name: string) => (one: Example) => {
  const { [name]: _, ...headers } = one.headers;
  return { ...one, headers };
};
const claim = (from: string | RegExp, to: string) => (one: Example) =>
  header('authorization', one.headers['authorization']!.replace(from, to))(one);
const at = (time: string) => (one: Example) => ({ ...one, at: time });
const method = (name: string) => (one: Example) => ({ ...one, method: name });

const wrong = 'SignatureDoesNotMatch';
const rows: Record<
  string,
  { of: Example; rows: [name: string, change: (one: Example) => Example, verdict?: string][] }
> = {
  'version 1': {
    of: v1,
    rows: [
      ['as it is published', (one) => one],
      ['of a quarter of an hour ago', at('Thu, 17 Nov 2005 19:04:58 GMT')],
      ['of a quarter of an hour ahead', at('Thu, 17 Nov 2005 18:34:58 GMT')],
      ['of longer ago', at('Thu, 17 Nov 2005 19:04:59 GMT'), 'RequestTimeTooSkewed'],
      ['of farther ahead', at('Thu, 17 Nov 2005 18:34:57 GMT'), 'RequestTimeTooSkewed'],
      [
        'with another date beside the one that was signed',
        header('x-oss-date', 'Thu, 17 Nov 2005 18:49:59 GMT'),
        wrong,
      ],
      ['without date', less('date'), 'AccessDenied'],
      ['with a date that is none', header('date', 'now'), 'AccessDenied'],
      ['with blanks around a value', header('x-oss-magic', ' abracadabra '), `in as ${v1.key}, oss, unsigned`],
      ['with another host, which is not signed', header('host', 'other')],
      ['with a parameter that is not signed', url(/$/, '?colour=blue')],
      ['with another type', header('content-type', 'text/plain'), wrong],
      ['without type', less('content-type'), wrong],
      ['with another MD5', header('content-md5', 'AAAA'), wrong],
      ['with a header of OSS more', header('x-oss-object-acl', 'public-read'), wrong],
      ['with a header of OSS less', less('x-oss-magic'), wrong],
      ['with a header of S3', header('x-amz-meta-author', 'me'), 'AccessDenied'],
      ['with a sub-resource more', url(/$/, '?acl'), wrong],
      ['with a version more', url(/$/, '?versionId=1'), wrong],
      ['with a parameter of OSS more', url(/$/, '?x-oss-anything=1'), wrong],
      ['with another type of the answer', url(/$/, '?response-content-type=text'), wrong],
      ['by another method', method('DELETE'), wrong],
      ['for another key', url('nelson', 'other'), wrong],
      ['for another bucket', url('oss-example', 'other'), wrong],
      ['of somebody else', claim('44CF', '55CF'), 'InvalidAccessKeyId'],
      ['of nobody', claim('44CF9590006BF252F707', ''), 'InvalidAccessKeyId'],
      ['with nothing behind the key', claim(/:.*/, ':'), 'InvalidAccessKeyId'],
      ['that is shorter', claim('yA=', ''), wrong],
      ['with something behind it', claim(/$/, ' more'), 'InvalidAccessKeyId'],
    ],
  },
  'a link of version 1': {
    of: v1Link,
    rows: [
      ['as it is published', (one) => one],
      ['at its last second', at('2006-03-09T07:25:20Z')],
      ['after that', at('2006-03-09T07:25:20.001Z'), 'AccessDenied'],
      ['that ends later', url('1141889120', '1141889121'), wrong],
      ['that ends never', url('1141889120', '9999999999999'), 'AccessDenied'],
      ['without end', url('&Expires=1141889120', ''), 'AccessDenied'],
      ['with an end that is no number', url('1141889120', 'never'), 'AccessDenied'],
      ['without signature', url(/&Signature=.*/, ''), wrong],
      ['without key', url('OSSAccessKeyId=44CF9590006BF252F707&', ''), 'AccessDenied'],
      ['used to write', method('PUT'), wrong],
      ['for another object', url('oss-api', 'other'), wrong],
      ['with a version more', url(/$/, '&versionId=1'), wrong],
      ['with a header of OSS', header('x-oss-meta-a', 'b'), wrong],
      ['with a header of S3', header('x-amz-copy-source', '/a/b'), 'AccessDenied'],
      ['with a type that was not signed', header('content-type', 'text/html'), wrong],
      ['beside another authorization', header('authorization', v1.headers['authorization']!), 'AccessDenied'],
      ['given twice', url(/$/, '&Expires=1'), 'InvalidArgument'],
    ],
  },
  'version 4': {
    of: v4,
    rows: [
      ['as it is published', (one) => one],
      ['with its parameters in another order', url('param1=value1&%2Bparam1=value3', '%2Bparam1=value3&param1=value1')],
      ['with a header that is not signed', header('abc', 'other')],
      ['of a quarter of an hour ago', at('2023-12-16T16:35:57Z')],
      ['of longer ago', at('2023-12-16T16:35:58Z'), 'RequestTimeTooSkewed'],
      ['of another day than its credential', header('x-oss-date', '20231217T162057Z'), 'AccessDenied'],
      ['without date', less('x-oss-date'), 'AccessDenied'],
      ['with another date', header('x-oss-date', '20231216T162058Z'), wrong],
      ['of another region', claim('cn-hangzhou', 'cn-beijing'), wrong],
      ['for another service', claim('/oss/', '/s3/'), 'AuthorizationHeaderMalformed'],
      ['with another end', claim('aliyun_v4', 'aws4'), 'AuthorizationHeaderMalformed'],
      ['of somebody else', claim('Credential=ak', 'Credential=sk'), 'InvalidAccessKeyId'],
      ['without signature', claim(/,Signature=.*/, ''), wrong],
      ['without credential', claim(/Credential=[^,]*,/, ''), 'AuthorizationHeaderMalformed'],
      ['with a header said to be signed', claim(',Signature', ',AdditionalHeaders=abc,Signature'), wrong],
      [
        'with a header said to be signed that is not there',
        claim(',Signature', ',AdditionalHeaders=none,Signature'),
        wrong,
      ],
      ['of a body that was announced', header('x-oss-content-sha256', 'a'.repeat(64)), 'InvalidArgument'],
      ['with another type', header('content-type', 'text/html'), wrong],
      ['with an MD5 more', header('content-md5', 'AAAA'), wrong],
      ['with a header of OSS more', header('x-oss-object-acl', 'public-read'), wrong],
      ['with a header of S3', header('x-amz-meta-author', 'me'), 'AccessDenied'],
      ['with any parameter more', url(/$/, '&colour=blue'), wrong],
      ['with any parameter less', url('&param2', ''), wrong],
      ['with another value', url('value3', 'value4'), wrong],
      ['with a plus that is a blank', url('1234+', '1234%20'), wrong],
      ['by another method', method('GET'), wrong],
      ['for another bucket', url('/bucket/', '/other/'), wrong],
    ],
  },
};

for (const [name, { of, rows: changes }] of Object.entries(rows)) {
  describe(`a signature of OSS, ${name},`, () => {
    for (const [how, change, expected] of changes) {
      test(`${how}: ${expected ?? 'in'}`, () => {
        assert.equal(verdict(change(of)), expected ?? `in as ${of.key}, oss, unsigned`);
      });
    }
  });
}
