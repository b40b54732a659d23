import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, mayRenewKeys, ObjectStoreError, quoted } from '../../activities/objects/failure.ts';
import { pauseMs, refusalError, retryAfterOf } from '../../activities/objects/http/refusal.ts';
import { type ErrorCode } from '../../workflows/engine/errors.ts';

const call = { method: 'PUT', host: 'store.example:9000', bucket: 'photos', key: 'a/b.jpg' };
const document = (code: string, message = '', more = ''): Buffer =>
  Buffer.from(`<Error><Code>${code}</Code><Message>${message}</Message>${more}<HostId>h</HostId></Error>`);

interface Row {
  status: number;
  code?: string;
  message?: string;
  headers?: Record<string, string>;
  about?: 'bucket';
  want: ErrorCode;
}

const rows: Row[] = [
  { status: 404, code: 'NoSuchBucket', want: 'BUCKET_UNKNOWN' },
  { status: 301, code: 'PermanentRedirect', want: 'BUCKET_UNKNOWN' },
  { status: 400, code: 'AuthorizationHeaderMalformed', want: 'BUCKET_UNKNOWN' },
  { status: 404, about: 'bucket', want: 'BUCKET_UNKNOWN' },
  { status: 301, want: 'BUCKET_UNKNOWN' },
  { status: 404, code: 'NoSuchKey', want: 'OBJECT_UNKNOWN' },
  { status: 404, code: 'NoSuchVersion', want: 'OBJECT_UNKNOWN' },
  { status: 404, code: 'NoSuchUpload', want: 'OBJECT_UNKNOWN' },
  { status: 404, want: 'OBJECT_UNKNOWN' },
  { status: 405, code: 'MethodNotAllowed', headers: { 'x-amz-delete-marker': 'true' }, want: 'OBJECT_UNKNOWN' },
  { status: 404, headers: { 'x-oss-delete-marker': 'true' }, want: 'OBJECT_UNKNOWN' },
  { status: 403, code: 'InvalidAccessKeyId', want: 'CREDENTIALS_REFUSED' },
  { status: 403, code: 'SignatureDoesNotMatch', want: 'CREDENTIALS_REFUSED' },
  { status: 400, code: 'ExpiredToken', want: 'CREDENTIALS_REFUSED' },
  { status: 403, code: 'SecurityTokenExpired', want: 'CREDENTIALS_REFUSED' },
  { status: 403, code: 'AccessDenied', message: 'Access Denied', want: 'CREDENTIALS_REFUSED' },
  { status: 403, code: 'RequestTimeTooSkewed', want: 'CREDENTIALS_REFUSED' },
  { status: 403, want: 'CREDENTIALS_REFUSED' },
  { status: 401, want: 'CREDENTIALS_REFUSED' },
  { status: 412, code: 'PreconditionFailed', want: 'OBJECT_CHANGED' },
  { status: 409, code: 'ConditionalRequestConflict', want: 'OBJECT_CHANGED' },
  { status: 409, code: 'FileAlreadyExists', want: 'OBJECT_CHANGED' },
  { status: 412, want: 'OBJECT_CHANGED' },
  { status: 403, code: 'InvalidObjectState', want: 'OBJECT_ARCHIVED' },
  {
    status: 403,
    code: 'AccessDenied',
    message: 'Access Denied because object protected by object lock.',
    want: 'OBJECT_LOCKED',
  },
  {
    status: 400,
    code: 'InvalidRequest',
    message: 'Object is WORM protected and cannot be overwritten',
    want: 'OBJECT_LOCKED',
  },
  {
    status: 400,
    code: 'InvalidRequest',
    message: 'Bucket is missing Object Lock Configuration',
    want: 'OBJECT_STORE_REFUSED',
  },
  { status: 409, code: 'FileImmutable', want: 'OBJECT_LOCKED' },
  { status: 400, code: 'BadDigest', want: 'CHECKSUM_MISMATCH' },
  { status: 400, code: 'XAmzContentSHA256Mismatch', want: 'CHECKSUM_MISMATCH' },
  { status: 400, code: 'InvalidPart', want: 'CHECKSUM_MISMATCH' },
  { status: 507, code: 'InsufficientStorage', want: 'TARGET_FULL' },
  { status: 507, code: 'XMinioStorageFull', want: 'TARGET_FULL' },
  { status: 400, code: 'XMinioAdminBucketQuotaExceeded', want: 'TARGET_FULL' },
  { status: 403, code: 'QuotaExceeded', want: 'TARGET_FULL' },
  { status: 507, want: 'TARGET_FULL' },
  { status: 500, code: 'InternalError', want: 'OBJECT_STORE_UNREACHABLE' },
  { status: 503, code: 'SlowDown', want: 'OBJECT_STORE_UNREACHABLE' },
  { status: 429, code: 'TooManyRequests', want: 'OBJECT_STORE_UNREACHABLE' },
  { status: 400, code: 'RequestTimeout', want: 'OBJECT_STORE_UNREACHABLE' },
  { status: 502, want: 'OBJECT_STORE_UNREACHABLE' },
  { status: 408, want: 'OBJECT_STORE_UNREACHABLE' },
  { status: 501, code: 'NotImplemented', want: 'OBJECT_STORE_REFUSED' },
  { status: 503, code: 'SiteFenced', want: 'OBJECT_STORE_REFUSED' },
  { status: 416, code: 'InvalidRange', want: 'OBJECT_STORE_REFUSED' },
  { status: 409, code: 'BucketNotEmpty', want: 'OBJECT_STORE_REFUSED' },
  { status: 400, code: 'SomethingNew', want: 'OBJECT_STORE_REFUSED' },
  { status: 418, want: 'OBJECT_STORE_REFUSED' },
];
for (const { status, code, message, headers = {}, about, want } of rows) {
  const said = [status, code, message, ...Object.keys(headers), about].filter(Boolean).join(' ');
  test(`${said} is ${want}`, () => {
    const bytes = code === undefined ? Buffer.alloc(0) : document(code, message);
    const named = about === 'bucket' ? { ...call, key: undefined } : call;
    const error = refusalError(named, { status, headers, bytes });
    assert.equal(error.code, want);
    assert.deepEqual([error.status, error.serverCode], [status, code ?? '']);
    assert.equal(error.mayHaveHappened, status >= 500 && status !== 501 && status !== 507);
  });
}

test('a message names method, key, host, the server’s words and its id, and nothing else of the document', () => {
  const more = '<RequestId>R1</RequestId><StringToSign>secret stuff</StringToSign><AWSAccessKeyId>AK</AWSAccessKeyId>';
  const bytes = document('SignatureDoesNotMatch', 'Check\u0007 your\nkey', more);
  const { message, requestId } = refusalError(call, { status: 403, headers: {}, bytes });
  assert.equal(
    message,
    'PUT photos/a/b.jpg at store.example:9000: SignatureDoesNotMatch (403): Check your key (request R1)',
  );
  assert.equal(requestId, 'R1');
});

test('a clock that is off is named with both times', () => {
  const more = '<RequestTime>20260304T050607Z</RequestTime><ServerTime>2026-03-04T06:06:07Z</ServerTime>';
  const { message } = refusalError(call, {
    status: 403,
    headers: {},
    bytes: document('RequestTimeTooSkewed', 'too large', more),
  });
  assert.match(message, /the request says 20260304T050607Z, the server has 2026-03-04T06:06:07Z; set the clock/);
  const headers = { date: 'Wed, 04 Mar 2026 06:06:07 GMT' };
  assert.match(
    refusalError(call, { status: 403, headers, bytes: document('RequestTimeTooSkewed') }).message,
    /the server has Wed, 04 Mar/,
  );
});

test('a bucket elsewhere is named with its region', () => {
  const bytes = document('AuthorizationHeaderMalformed', 'wrong', '<Region>eu-west-1</Region>');
  assert.match(refusalError(call, { status: 400, headers: {}, bytes }).message, /the bucket is in region eu-west-1/);
  const headers = { 'x-amz-bucket-region': 'eu-west-2' };
  assert.match(refusalError(call, { status: 301, headers, bytes: Buffer.alloc(0) }).message, /in region eu-west-2/);
});

test('OSS explains a refused HEAD in a header', () => {
  const headers = {
    'x-oss-err': document('InvalidObjectState', 'archived').toString('base64'),
    'x-oss-request-id': 'O1',
  };
  const error = refusalError({ ...call, method: 'HEAD' }, { status: 403, headers, bytes: Buffer.alloc(0) });
  assert.deepEqual([error.code, error.serverCode, error.requestId], ['OBJECT_ARCHIVED', 'InvalidObjectState', 'O1']);
});

for (const body of [
  '<html><body>502</body></html>',
  'plain',
  '<Error><Code>Trunc',
  '',
  '<Error/>',
  'x'.repeat(70_000),
]) {
  test(`an error page "${body.slice(0, 20)}" is judged by its status`, () => {
    const error = refusalError(call, { status: 502, headers: {}, bytes: Buffer.from(body) });
    assert.deepEqual([error.code, error.serverCode], ['OBJECT_STORE_UNREACHABLE', '']);
  });
}

test('long and odd words of a server are cut to one line', () => {
  assert.equal(quoted(' a\r\n\u0000b\u2028c '), 'a b c');
  assert.equal(quoted('x'.repeat(500)).length, 300);
});

test('every code of a table has one meaning', () => {
  assert.equal(judge({ status: 200, code: 'InternalError', message: '', about: 'object' }), 'OBJECT_STORE_UNREACHABLE');
});

const failure = (
  facts: ConstructorParameters<typeof ObjectStoreError>[2],
  code: ErrorCode = 'OBJECT_STORE_UNREACHABLE',
) => new ObjectStoreError(code, 'x', facts);

test('keys are renewed after a refusal that renewing could cure', () => {
  assert.equal(mayRenewKeys(failure({ serverCode: 'ExpiredToken' }, 'CREDENTIALS_REFUSED')), true);
  assert.equal(mayRenewKeys(failure({ serverCode: 'RequestTimeTooSkewed' }, 'CREDENTIALS_REFUSED')), false);
  assert.equal(mayRenewKeys(failure({ serverCode: 'SlowDown' })), false);
});

test('pauses grow, spread over all of their range, and are never shorter than the server asks', () => {
  const most = (tries: number, facts = {}): number => pauseMs(failure(facts), tries, () => 1);
  assert.deepEqual([most(1), most(2), most(3), most(20)], [200, 400, 800, 20_000]);
  assert.equal(most(1, { serverCode: 'SlowDown' }), 800);
  assert.equal(most(1, { status: 429 }), 800);
  assert.equal(
    pauseMs(failure({}), 5, () => 0),
    0,
  );
  assert.equal(
    pauseMs(failure({ retryAfterMs: 30_000 }), 1, () => 0.5),
    30_000,
  );
});

const nowMs = Date.UTC(2026, 2, 4, 5, 6, 7);
for (const [text, want] of [
  [undefined, undefined],
  ['3', 3_000],
  ['0', 0],
  ['Wed, 04 Mar 2026 05:06:17 GMT', 10_000],
  ['Wed, 04 Mar 2026 05:06:00 GMT', 0],
  ['soon', undefined],
] as const) {
  test(`Retry-After: ${text} is ${want} ms`, () => assert.equal(retryAfterOf(text, nowMs), want));
}
