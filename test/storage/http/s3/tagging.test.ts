/** Tags of objects: as raw requests, and by the SDK. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import * as s3 from '@aws-sdk/client-s3';
import { taggingOf } from '../../../../storage-node/http/s3/tagging.ts';
import { S3Error } from '../../../../storage-node/http/s3-error.ts';
import { ways } from '../signing.ts';
import { type Front, startFront } from './front.ts';
import { refused } from './refused.ts';

const Bucket = 'tagged';
const versions = 'versions';
const never = 'without';
let front: Front;
before(async () => {
  front = await startFront();
  for (const name of [Bucket, versions, never]) await front.client.send(new s3.CreateBucketCommand({ Bucket: name }));
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await front.client.send(new s3.PutBucketVersioningCommand({ Bucket: versions, VersioningConfiguration }));
});
after(async () => {
  assert.deepEqual(front.faults, []);
  await front[Symbol.asyncDispose]();
});

type Put = Partial<s3.PutObjectCommandInput> & { Key: string };
type Named = { Key: string; Bucket?: string; VersionId?: string | undefined };
const put = (more: Put) => front.client.send(new s3.PutObjectCommand({ Bucket, Body: 'x', ...more }));
const setOf = (tags: Record<string, string>): s3.Tag[] => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
const tag = ({ tags, ...named }: Named & { tags: Record<string, string> }) =>
  front.client.send(new s3.PutObjectTaggingCommand({ Bucket, ...named, Tagging: { TagSet: setOf(tags) } }));
const untag = (named: Named) => front.client.send(new s3.DeleteObjectTaggingCommand({ Bucket, ...named }));
const tagged = (named: Named) => tag({ ...named, tags: { a: '1' } });
const ask = (named: Named) => front.client.send(new s3.GetObjectTaggingCommand({ Bucket, ...named }));
async function tagsOf(named: Named): Promise<Record<string, string>> {
  const { TagSet } = await ask(named);
  return Object.fromEntries(TagSet!.map(({ Key, Value }) => [Key, Value]));
}
const document = (tags: readonly (readonly [string, string])[]): string =>
  `<Tagging><TagSet>${tags.map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`).join('')}</TagSet></Tagging>`;
async function codeOf(answer: Promise<Response>): Promise<string> {
  const { status, ...rest } = await answer.then(async (one) => ({ status: one.status, text: await one.text() }));
  return `${status} ${/<Code>(\w+)</.exec(rest.text)?.[1] ?? 'done'}`;
}
const ten = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`n${i}`, `v${i}`]));

describe('tags of an object', () => {
  test('are put, read, replaced and removed; bytes, ETag and time stay', async () => {
    const Key = 'k';
    const { ETag } = await put({ Key });
    const before = await front.client.send(new s3.HeadObjectCommand({ Bucket, Key }));
    assert.deepEqual(await tagsOf({ Key }), {});
    const tags = { team: 'ops + more', 'a key:1': 'x/y@z=1', Größe: '漢字', empty: '', __proto__x: '1' };
    await tag({ Key, tags });
    assert.deepEqual(await tagsOf({ Key }), tags);
    await tag({ Key, tags: { other: '1' } });
    assert.deepEqual(await tagsOf({ Key }), { other: '1' });
    const after = await front.client.send(new s3.GetObjectCommand({ Bucket, Key }));
    assert.deepEqual([after.ETag, after.LastModified, after.TagCount], [ETag, before.LastModified, 1]);
    assert.equal(await after.Body!.transformToString(), 'x');
    const { $metadata } = await untag({ Key });
    assert.equal($metadata.httpStatusCode, 204);
    assert.deepEqual(await tagsOf({ Key }), {});
    await tag({ Key, tags: {} });
  });

  test('may be named as properties of every object of a program are', async () => {
    await put({ Key: 'proto', Tagging: '__proto__=a&constructor=b&toString=c' });
    const { TagSet } = await ask({ Key: 'proto' });
    assert.deepEqual(TagSet, [
      { Key: '__proto__', Value: 'a' },
      { Key: 'constructor', Value: 'b' },
      { Key: 'toString', Value: 'c' },
    ]);
  });

  test('come with the object, and are counted by GET and HEAD where there are some', async () => {
    await put({ Key: 'with', Tagging: 'team=ops%20%2B+more&Gr%C3%B6%C3%9Fe=%E6%BC%A2&flag', Metadata: { a: 'b' } });
    await put({ Key: 'plain' });
    assert.deepEqual(await tagsOf({ Key: 'with' }), { team: 'ops + more', Größe: '漢', flag: '' });
    for (const method of ['GET', 'HEAD']) {
      const counts = await Promise.all(
        ['with', 'plain'].map(async (key) =>
          (await front.send(method, `/${Bucket}/${key}`)).headers.get('x-amz-tagging-count'),
        ),
      );
      assert.deepEqual(counts, ['3', null]);
    }
    // Written over without tags it has none.
    await put({ Key: 'with' });
    assert.deepEqual(await tagsOf({ Key: 'with' }), {});
  });

  test('come with an upload in parts, and stay when its tags become others', async () => {
    const at = { Bucket, Key: 'parts' };
    const { UploadId } = await front.client.send(
      new s3.CreateMultipartUploadCommand({ ...at, Tagging: 'a=1&b=2', Metadata: { m: '1' } }),
    );
    const { ETag } = await front.client.send(
      new s3.UploadPartCommand({ ...at, UploadId, PartNumber: 1, Body: 'part' }),
    );
    const done = { ...at, UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] } };
    const made = await front.client.send(new s3.CompleteMultipartUploadCommand(done));
    assert.deepEqual(await tagsOf(at), { a: '1', b: '2' });
    await tag({ ...at, tags: { c: '3' } });
    // Who completes once more must be told of the same object and not make it again.
    assert.equal((await front.client.send(new s3.CompleteMultipartUploadCommand(done))).ETag, made.ETag);
    assert.deepEqual(await tagsOf(at), { c: '3' });
    await untag(at);
    assert.equal((await front.client.send(new s3.CompleteMultipartUploadCommand(done))).ETag, made.ETag);
    const read = await front.client.send(new s3.GetObjectCommand(at));
    assert.deepEqual([await read.Body!.transformToString(), read.Metadata], ['part', { m: '1' }]);
    await put({ Key: 'parts' });
  });

  test('are copied, or replaced by those of the request', async () => {
    await put({ Key: 'from', Tagging: 'a=1' });
    const copy = async (Key: string, more: Partial<s3.CopyObjectCommandInput>): Promise<Record<string, string>> => {
      await front.client.send(new s3.CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/from`, ...more }));
      return tagsOf({ Key });
    };
    assert.deepEqual(await copy('to', {}), { a: '1' });
    assert.deepEqual(await copy('to', { MetadataDirective: 'REPLACE', Metadata: { m: '1' } }), { a: '1' });
    assert.deepEqual(await copy('to', { TaggingDirective: 'REPLACE', Tagging: 'b=2' }), { b: '2' });
    assert.deepEqual(await copy('to', { TaggingDirective: 'COPY', Tagging: 'b=2' }), { a: '1' });
    assert.deepEqual(await copy('to', { TaggingDirective: 'REPLACE' }), {});
    const wrong = copy('to', { TaggingDirective: 'MERGE' as 'COPY' });
    assert.equal(await refused(wrong), '400 InvalidArgument');
  });

  test('are changed only under the condition a request names', async () => {
    const Key = 'conditional';
    const { ETag } = await put({ Key });
    const path = `/${Bucket}/${Key}?tagging`;
    const ifMatch = (etag: string): Promise<string> =>
      codeOf(front.send('PUT', path, { headers: { 'if-match': etag }, body: document([['a', etag.slice(1, 9)]]) }));
    assert.equal(await ifMatch('"00000000000000000000000000000000"'), '412 PreconditionFailed');
    assert.deepEqual(await tagsOf({ Key }), {});
    assert.equal(await ifMatch(ETag!), '200 done');
    assert.equal(
      await codeOf(front.send('DELETE', path, { headers: { 'if-match': '"other"' } })),
      '412 PreconditionFailed',
    );
    assert.equal(Object.keys(await tagsOf({ Key })).length, 1);
  });

  test('are those of one version', async () => {
    const at = { Bucket: versions, Key: 'k' };
    const [one, two] = [await put({ ...at, Tagging: 'n=1' }), await put({ ...at, Tagging: 'n=2' })];
    const { VersionId } = await tag({ ...at, VersionId: one.VersionId!, tags: { old: '1' } });
    assert.equal(VersionId, one.VersionId);
    assert.equal((await tag({ ...at, tags: { new: '2' } })).VersionId, two.VersionId);
    assert.deepEqual(await tagsOf({ ...at, VersionId: one.VersionId }), { old: '1' });
    assert.deepEqual(await tagsOf(at), { new: '2' });
    assert.equal((await ask(at)).VersionId, two.VersionId);
    assert.equal((await untag({ ...at, VersionId: one.VersionId })).VersionId, one.VersionId);
    assert.deepEqual(await tagsOf({ ...at, VersionId: one.VersionId }), {});
    assert.deepEqual(await tagsOf(at), { new: '2' });
  });

  test('are not those of a delete marker, nor of what is not there', async () => {
    const at = { Bucket: versions, Key: 'gone' };
    const { VersionId: first } = await put(at);
    const { VersionId: marker } = await front.client.send(new s3.DeleteObjectCommand(at));
    for (const VersionId of [undefined, marker]) {
      const of = VersionId === undefined ? at : { ...at, VersionId };
      for (const asked of [ask, untag, tagged]) assert.equal(await refused(asked(of)), '405 MethodNotAllowed');
    }
    const told = await front.send('GET', `/${versions}/gone?tagging`);
    assert.deepEqual(
      ['x-amz-delete-marker', 'x-amz-version-id', 'allow'].map((name) => told.headers.get(name)),
      ['true', marker, 'DELETE'],
    );
    await tagged({ ...at, VersionId: first });
    assert.deepEqual(await tagsOf({ ...at, VersionId: first }), { a: '1' });
    const absent: [Named, string][] = [
      [{ Key: 'nothing' }, '404 NoSuchKey'],
      [{ Key: 'k', Bucket: 'nowhere' }, '404 NoSuchBucket'],
      [{ ...at, VersionId: 'other' }, '404 NoSuchVersion'],
    ];
    for (const [named, code] of absent) {
      for (const asked of [ask, untag, tagged]) assert.equal(await refused(asked(named)), code);
    }
  });

  test('are asked for and put by signed links', async () => {
    const { host } = new URL(front.endpoint);
    const by = {
      accessKey: 'root',
      secret: 'a secret of the tests',
      region: 'us-east-1',
      atMs: Date.now(),
      seconds: 60,
    };
    const link = ways.find((way) => way.dialect === 's3' && way.link)!;
    const follow = async (method: string, path: string, more: { headers?: Record<string, string>; body?: string }) => {
      const [at = '', name] = path.split('?');
      const headers = { host, ...more.headers };
      const wanted = { method, path: at, query: name === undefined ? {} : { [name]: '' }, headers };
      const signed = await link.sign(wanted, by);
      const query = Object.entries(signed.query).map((pair) => pair.map(encodeURIComponent).join('='));
      return fetch(`${front.endpoint}${at}?${query.join('&')}`, { method, ...more });
    };
    const path = `/${Bucket}/linked`;
    assert.equal((await follow('PUT', path, { headers: { 'x-amz-tagging': 'a=1' }, body: 'x' })).status, 200);
    assert.match(await (await follow('GET', `${path}?tagging`, {})).text(), /<Key>a<\/Key><Value>1<\/Value>/);
    assert.equal((await follow('PUT', `${path}?tagging`, { body: document([['b', '2']]) })).status, 200);
    assert.deepEqual(await tagsOf({ Key: 'linked' }), { b: '2' });
    assert.equal((await fetch(`${front.endpoint}${path}?tagging`)).status, 403);
  });
});

describe('of a document of tags', () => {
  const at = `/${never}/refused?tagging`;
  before(() => put({ Bucket: never, Key: 'refused', Tagging: 'kept=1' }));
  const long = (length: number): string => 'x'.repeat(length);
  const accepted: [string, [string, string][]][] = [
    ['ten', Object.entries(ten)],
    ['the longest name and value', [[long(128), long(256)]]],
    ['a value of nothing', [['a', '']]],
    ['letters and digits of any script', [['Ñandú ٣', 'Ωмега 漢字']]],
    ['every sign', [['+ - = . _ : / @', '+-=._:/@']]],
    ['none', []],
  ];
  for (const [name, tags] of accepted) {
    test(`${name} is accepted`, async () => {
      assert.equal(await codeOf(front.send('PUT', at, { body: document(tags) })), '200 done');
      assert.deepEqual(await tagsOf({ Bucket: never, Key: 'refused' }), Object.fromEntries(tags));
    });
  }

  const refusals: [string, string, string][] = [
    ['eleven', document([...Object.entries(ten), ['more', '']]), '400 BadRequest'],
    ['a name too long', document([[long(129), '']]), '400 InvalidTag'],
    // Such a character counts for two, as S3 keeps it.
    ['a name too long in UTF-16', document([['𝒳'.repeat(65), '']]), '400 InvalidTag'],
    ['a value too long', document([['a', long(257)]]), '400 InvalidTag'],
    ['a name of nothing', document([['', 'x']]), '400 InvalidTag'],
    ['one name twice', document([...Object.entries(ten).slice(0, 2), ['n0', 'x']]), '400 InvalidTag'],
    ['a sign in the name', document([['a&amp;b', '']]), '400 InvalidTag'],
    ['a sign in the value', document([['a', 'b!']]), '400 InvalidTag'],
    ['a line end', document([['a', 'b&#10;c']]), '400 InvalidTag'],
    ['a name of the system', document([['aws:x', '']]), '400 InvalidTag'],
    ['a tag without a value', '<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>', '400 MalformedXML'],
    ['a tag without a name', '<Tagging><TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>', '400 MalformedXML'],
    ['no set', '<Tagging></Tagging>', '400 MalformedXML'],
    ['two sets', '<Tagging><TagSet/><TagSet/></Tagging>', '400 MalformedXML'],
    ['something else in the set', '<Tagging><TagSet><Colour/></TagSet></Tagging>', '400 MalformedXML'],
    ['text in the set', '<Tagging><TagSet>a</TagSet></Tagging>', '400 MalformedXML'],
    ['another root', '<Tags/>', '400 MalformedXML'],
    ['nothing', '', '400 MalformedXML'],
    ['too much', document([['a', long(70_000)]]), '400 MaxMessageLengthExceeded'],
  ];
  for (const [name, body, code] of refusals) {
    test(`${name} is refused, and changes nothing`, async () => {
      const before = await tagsOf({ Bucket: never, Key: 'refused' });
      assert.equal(await codeOf(front.send('PUT', at, { body })), code);
      assert.deepEqual(await tagsOf({ Bucket: never, Key: 'refused' }), before);
    });
  }

  test('one that was damaged on the way is refused', async () => {
    const body = document([['a', '1']]);
    const md5 = (text: string): string => createHash('md5').update(text).digest('base64');
    const send = (digest: string): Promise<string> =>
      codeOf(front.send('PUT', at, { body, headers: { 'content-md5': digest } }));
    assert.equal(await send(md5('other')), '400 BadDigest');
    assert.equal(await send(md5(body)), '200 done');
  });

  test('what reads as a name is not read as markup', async () => {
    await put({ Key: 'odd', Tagging: 'a%20b=%3D%2B' });
    assert.match(
      await (await front.send('GET', `/${Bucket}/odd?tagging`)).text(),
      /<TagSet><Tag><Key>a b<\/Key><Value>=\+<\/Value><\/Tag><\/TagSet>/,
    );
  });
});

describe('tags in a header', () => {
  const long = `a=${'x'.repeat(257)}`;
  const rows: [string, unknown][] = [
    ['', []],
    [
      'a=1&b=2',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    ['a', [['a', '']]],
    ['a=', [['a', '']]],
    ['&a=1&', [['a', '1']]],
    ['a+b=c%2Bd', [['a b', 'c+d']]],
    ['a=b=c', [['a', 'b=c']]],
    ['%C3%A4=%F0%9D%92%B3', [['ä', '𝒳']]],
    [Object.keys(ten).join('&'), Object.keys(ten).map((name) => [name, ''])],
    ['=1', 'InvalidTag'],
    [long, 'InvalidTag'],
    ['a=%26', 'InvalidTag'],
    ['aws%3Aa=1', 'InvalidTag'],
    ['a=1&a=1', 'InvalidArgument'],
    ['a=%', 'InvalidArgument'],
    ['a=%ff', 'InvalidArgument'],
    ['a=\u00e4', 'InvalidArgument'],
    [`${Object.keys(ten).join('&')}&more`, 'BadRequest'],
  ];
  for (const [header, expected] of rows) {
    test(`'${header.slice(0, 40)}'`, () => {
      let outcome: unknown;
      try {
        outcome = taggingOf({ 'x-amz-tagging': header });
      } catch (error) {
        assert.ok(error instanceof S3Error);
        outcome = error.code;
      }
      assert.deepEqual(outcome, expected);
    });
  }

  test('that cannot be kept refuse the object they come with', async () => {
    assert.equal(await refused(put({ Key: 'never', Tagging: 'a=1&a=2' })), '400 InvalidArgument');
    assert.equal(await refused(ask({ Key: 'never' })), '404 NoSuchKey');
    assert.equal(taggingOf({}), undefined);
  });
});
