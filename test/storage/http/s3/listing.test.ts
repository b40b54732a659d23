import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as s3 from '@aws-sdk/client-s3';
import { type Front, startFront } from './front.ts';
import { refused } from './refused.ts';

const Bucket = 'listing';
const keys = ['a', 'b/1', 'b/2', 'c/1', 'd e+f', 'z'];
let front: Front;
before(async () => {
  front = await startFront();
  await front.client.send(new s3.CreateBucketCommand({ Bucket }));
  for (const Key of keys) await front.client.send(new s3.PutObjectCommand({ Bucket, Key, Body: Key }));
});
after(() => front[Symbol.asyncDispose]());

const v1 = (more: Partial<s3.ListObjectsCommandInput> = {}) =>
  front.client.send(new s3.ListObjectsCommand({ Bucket, ...more }));
const v2 = (more: Partial<s3.ListObjectsV2CommandInput> = {}) =>
  front.client.send(new s3.ListObjectsV2Command({ Bucket, ...more }));
const keysOf = (page: { Contents?: { Key?: string | undefined }[] | undefined }) =>
  (page.Contents ?? []).map(({ Key }) => Key);
const prefixesOf = (page: { CommonPrefixes?: { Prefix?: string | undefined }[] | undefined }) =>
  (page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix);

test('both versions list all keys with what is known of them', async () => {
  const [one, two] = [await v1(), await v2({ FetchOwner: true })];
  for (const page of [one, two]) {
    assert.deepEqual(keysOf(page), keys);
    assert.equal(page.IsTruncated, false);
    assert.equal(page.MaxKeys, 1000);
    assert.equal(page.Name, Bucket);
    const [row] = page.Contents ?? [];
    assert.equal(row?.Size, 1);
    assert.equal(row?.ETag, '"0cc175b9c0f1b6a831c399e269772661"');
    assert.equal(row?.StorageClass, 'STANDARD');
    assert.deepEqual(row?.ChecksumAlgorithm, ['CRC32']);
    assert.deepEqual(row?.Owner, { ID: 'root', DisplayName: 'root' });
    assert.ok(row?.LastModified instanceof Date);
  }
  assert.equal(two.KeyCount, 6);
  assert.equal((await v2()).Contents?.[0]?.Owner, undefined);
});

test('keys with a delimiter are rolled up, and count as one', async () => {
  const page = await v2({ Delimiter: '/' });
  assert.deepEqual(keysOf(page), ['a', 'd e+f', 'z']);
  assert.deepEqual(prefixesOf(page), ['b/', 'c/']);
  assert.equal(page.KeyCount, 5);
  const inside = await v2({ Delimiter: '/', Prefix: 'b/' });
  assert.deepEqual(keysOf(inside), ['b/1', 'b/2']);
  assert.deepEqual(prefixesOf(await v2({ Delimiter: ' e' })), ['d e']);
  const empty = await front.send('GET', `/${Bucket}?list-type=2&delimiter=`);
  assert.doesNotMatch(await empty.text(), /<Delimiter>/);
});

for (const size of [1, 2, 3, 5]) {
  test(`in pages of ${size} nothing is missed or shown twice`, async () => {
    for (const Delimiter of [undefined, '/']) {
      const seen: string[] = [];
      let token: string | undefined;
      do {
        const page = await v2({ MaxKeys: size, Delimiter, ContinuationToken: token });
        const rows = [...keysOf(page), ...prefixesOf(page)];
        assert.ok(rows.length <= size);
        assert.equal(page.KeyCount, rows.length);
        assert.equal(page.ContinuationToken, token);
        seen.push(...rows.map(String));
        token = page.NextContinuationToken;
        assert.equal(token !== undefined, page.IsTruncated);
      } while (token !== undefined);
      assert.deepEqual(seen.toSorted(), Delimiter === undefined ? keys : ['a', 'b/', 'c/', 'd e+f', 'z']);
    }
  });

  test(`version 1 in pages of ${size}: the marker is the last key, or NextMarker with a delimiter`, async () => {
    for (const Delimiter of [undefined, '/']) {
      const seen: string[] = [];
      let Marker: string | undefined;
      for (let more = true; more;) {
        const page: s3.ListObjectsCommandOutput = await v1({ MaxKeys: size, Delimiter, Marker });
        seen.push(...[...keysOf(page), ...prefixesOf(page)].map(String));
        assert.equal(page.Marker, Marker ?? '');
        more = page.IsTruncated === true;
        assert.equal(page.NextMarker !== undefined, more && Delimiter !== undefined);
        Marker = page.NextMarker ?? keysOf(page).at(-1);
      }
      assert.deepEqual(seen.toSorted(), Delimiter === undefined ? keys : ['a', 'b/', 'c/', 'd e+f', 'z']);
    }
  });
}

test('a listing starts behind a key that need not be there', async () => {
  assert.deepEqual(keysOf(await v2({ StartAfter: 'b/1' })), ['b/2', 'c/1', 'd e+f', 'z']);
  assert.deepEqual(keysOf(await v2({ StartAfter: 'b0' })), ['c/1', 'd e+f', 'z']);
  assert.deepEqual(keysOf(await v1({ Marker: 'y' })), ['z']);
  assert.equal((await v2({ StartAfter: 'y' })).StartAfter, 'y');
  assert.deepEqual(keysOf(await v2({ StartAfter: 'zz' })), []);
});

test('an empty continuation token is echoed and begins at the beginning', async () => {
  const answer = await front.send('GET', `/${Bucket}?list-type=2&continuation-token=`);
  const text = await answer.text();
  assert.match(text, /<ContinuationToken><\/ContinuationToken>/);
  assert.match(text, /<Key>a<\/Key>/);
});

test('encoding-type=url encodes keys, prefixes and markers', async () => {
  const page = await v2({ EncodingType: 'url', Prefix: 'd e', StartAfter: 'd ' });
  assert.deepEqual(keysOf(page), ['d%20e%2Bf']);
  assert.equal(page.Prefix, 'd%20e');
  assert.equal(page.StartAfter, 'd%20');
  assert.equal(page.EncodingType, 'url');
  assert.deepEqual(prefixesOf(await v1({ EncodingType: 'url', Delimiter: '+' })), ['d%20e%2B']);
});

test('no more than 1,000 keys come at once', async () => {
  assert.equal((await v2({ MaxKeys: 5000 })).MaxKeys, 1000);
  const none = await v2({ MaxKeys: 0 });
  assert.equal(none.KeyCount, 0);
  assert.equal(none.IsTruncated, false);
});

const bad: Partial<s3.ListObjectsV2CommandInput>[] = [
  { MaxKeys: -1 },
  { ContinuationToken: 'made up' },
  { EncodingType: 'base64' as 'url' },
];
for (const input of bad) {
  test(`${JSON.stringify(input)} is refused`, async () => {
    assert.equal(await refused(v2(input)), '400 InvalidArgument');
  });
}

test('a bucket that is not there has no listing of any kind', async () => {
  const nowhere = { Bucket: 'nowhere' };
  for (const command of [
    new s3.ListObjectsCommand(nowhere),
    new s3.ListObjectsV2Command({ ...nowhere, MaxKeys: 0 }),
    new s3.ListObjectVersionsCommand({ ...nowhere, MaxKeys: 0 }),
    new s3.ListMultipartUploadsCommand({ ...nowhere, MaxUploads: 0 }),
  ] as s3.ListObjectsCommand[]) {
    assert.equal(await refused(front.client.send(command)), '404 NoSuchBucket');
  }
});

const documents: [string, string, RegExp][] = [
  [
    'ListObjectsV2',
    '?list-type=2&prefix=b/&max-keys=1',
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<ListBucketResult xmlns="http:\/\/s3\.amazonaws\.com\/doc\/2006-03-01\/"><Name>listing<\/Name><Prefix>b\/<\/Prefix><NextContinuationToken>[A-Za-z0-9_-]+<\/NextContinuationToken><KeyCount>1<\/KeyCount><MaxKeys>1<\/MaxKeys><IsTruncated>true<\/IsTruncated><Contents><Key>b\/1<\/Key><LastModified>[0-9T:.-]{23}Z<\/LastModified><ETag>&quot;[0-9a-f]{32}&quot;<\/ETag><ChecksumAlgorithm>CRC32<\/ChecksumAlgorithm><ChecksumType>FULL_OBJECT<\/ChecksumType><Size>3<\/Size><StorageClass>STANDARD<\/StorageClass><\/Contents><\/ListBucketResult>$/,
  ],
  [
    'ListObjects',
    '?delimiter=/&prefix=b',
    /^<\?xml[^>]+>\n<ListBucketResult xmlns="[^"]+"><Name>listing<\/Name><Prefix>b<\/Prefix><Delimiter>\/<\/Delimiter><Marker><\/Marker><MaxKeys>1000<\/MaxKeys><IsTruncated>false<\/IsTruncated><CommonPrefixes><Prefix>b\/<\/Prefix><\/CommonPrefixes><\/ListBucketResult>$/,
  ],
  [
    'ListObjectVersions',
    '?versions&prefix=z',
    /^<\?xml[^>]+>\n<ListVersionsResult xmlns="[^"]+"><Name>listing<\/Name><Prefix>z<\/Prefix><KeyMarker><\/KeyMarker><VersionIdMarker><\/VersionIdMarker><MaxKeys>1000<\/MaxKeys><IsTruncated>false<\/IsTruncated><Version><Key>z<\/Key><VersionId>null<\/VersionId><IsLatest>true<\/IsLatest><LastModified>[^<]+<\/LastModified><ETag>[^<]+<\/ETag><ChecksumAlgorithm>CRC32<\/ChecksumAlgorithm><ChecksumType>FULL_OBJECT<\/ChecksumType><Size>1<\/Size><StorageClass>STANDARD<\/StorageClass><Owner><ID>root<\/ID><DisplayName>root<\/DisplayName><\/Owner><\/Version><\/ListVersionsResult>$/,
  ],
];
for (const [name, query, document] of documents) {
  test(`the document of ${name} is S3's, to the byte`, async () => {
    const answer = await front.send('GET', `/${Bucket}${query}`);
    assert.equal(answer.headers.get('content-type'), 'application/xml');
    assert.match(await answer.text(), document);
  });
}
