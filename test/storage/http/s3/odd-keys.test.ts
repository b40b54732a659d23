import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as s3 from '@aws-sdk/client-s3';
import { encodeUrl } from '../../../../storage-node/http/s3/url-encoding.ts';
import { type Front, startFront } from './front.ts';

const bucket = 'odd-keys';
let front: Front;
before(async () => {
  front = await startFront();
  await front.client.send(new s3.CreateBucketCommand({ Bucket: bucket }));
});
after(() => front[Symbol.asyncDispose]());

const keys = [
  '..',
  '../..',
  './a',
  'a//b',
  '/',
  '//',
  'a b',
  'a+b',
  'a%2Fb',
  '100%',
  'a?b',
  'a#b',
  'a&b=c',
  '<x>&"\'',
  '你好/世界 🌍',
  'é',
  'a\u0001b',
  'a\r\nb',
  'tab\there',
  '\u2028\u0085',
  'end ',
  ' start',
  'x'.repeat(1024),
  'ü'.repeat(512),
];
for (const key of keys) {
  const shown = JSON.stringify(key.slice(0, 20));
  test(`${shown} is put, read, listed, copied, deleted alone and with others`, async () => {
    const path = `/${bucket}/${encodeUrl(key)}`;
    assert.equal((await front.send('PUT', path, { body: key })).status, 200);
    assert.equal(await (await front.send('GET', path)).text(), key);
    const plain = await front.client.send(new s3.ListObjectsV2Command({ Bucket: bucket }));
    const coded = await front.client.send(new s3.ListObjectsV2Command({ Bucket: bucket, EncodingType: 'url' }));
    if (!/[\r\u0001]/.test(key))
      assert.deepEqual(
        plain.Contents?.map(({ Key }) => Key),
        [key],
      );
    assert.deepEqual(
      coded.Contents?.map(({ Key }) => decodeURIComponent(Key!)),
      [key],
    );
    const headers = { 'x-amz-copy-source': `${bucket}/${encodeURIComponent(key)}` };
    assert.equal((await front.send('PUT', `/${bucket}/copy`, { headers })).status, 200);
    assert.equal(await (await front.send('GET', `/${bucket}/copy`)).text(), key);
    assert.equal((await front.send('DELETE', path)).status, 204);
    assert.equal((await front.send('GET', path)).status, 404);
    await front.send('PUT', path, { body: key });
    const gone = await front.client.send(
      new s3.DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: [{ Key: key }, { Key: 'copy' }] } }),
    );
    assert.equal(gone.Errors, undefined);
    const left = await front.client.send(new s3.ListObjectsV2Command({ Bucket: bucket }));
    assert.equal(left.KeyCount, 0);
  });
}

test('a key of 1,025 bytes is too long', async () => {
  const answer = await front.send('PUT', `/${bucket}/${'x'.repeat(1025)}`);
  assert.match(await answer.text(), /<Code>KeyTooLongError</);
});
