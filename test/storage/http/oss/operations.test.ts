/** The life of a bucket told in OSS's words: each operation of the dialect, with what it answers. */
import assert from 'node:assert/strict';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { rootCredentials } from '../../../../storage-node/http/credentials.ts';
import { ossOperations } from '../../../../storage-node/http/oss/index.ts';
import { s3Operations } from '../../../../storage-node/http/s3/index.ts';
import { createFrontDoor } from '../../../../storage-node/http/server.ts';
import { memoryLayer } from '../s3/front.ts';
import { type By, type Sendable, targetOf, ways } from '../signing.ts';

const by: By = {
  accessKey: 'root',
  secret: 'a secret of the tests',
  region: 'us-east-1',
  atMs: Date.now(),
  seconds: 600,
};
const faults: unknown[] = [];
const seen: string[] = [];
const server = createFrontDoor({
  ...{ operations: [...s3Operations, ...ossOperations], layer: memoryLayer() },
  credentials: rootCredentials(by.accessKey, by.secret),
  settings: { region: by.region, owner: 'root', host: 'test' },
  fault: (error) => faults.push(error),
  observe: ({ operation }) => seen.push(operation),
}).server();
before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
after(() => {
  server.closeAllConnections();
  server.close();
});

interface Answered {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

async function send(wanted: Partial<Sendable> & { body?: string }): Promise<Answered> {
  const { port } = server.address() as AddressInfo;
  const { body = '', ...request } = wanted;
  const plain: Sendable = { method: 'GET', path: '/', query: {}, headers: {}, ...request };
  // Versions 1 and 4 of the signature, in turn.
  const way = ways.filter(({ dialect, link }) => dialect === 'oss' && !link)[seen.length % 2]!;
  const sent = await way.sign({ ...plain, headers: { host: `127.0.0.1:${port}`, ...plain.headers } }, by);
  const { method, headers } = sent;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const path = targetOf(sent);
    httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false }, resolve)
      .on('error', reject)
      .end(body);
  });
  return {
    status: answer.statusCode!,
    headers: answer.headers,
    body: Buffer.concat(await answer.toArray()).toString(),
  };
}

/** Found in one answer and asked for by later rows, as `{upload}`. */
const found: Record<string, string> = {};
function filled(text: string): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => found[name] ?? assert.fail(`${name} was not found`));
}

interface Row {
  name: string;
  /** The operation it is; else what it is refused as. */
  is: string;
  ask: Partial<Sendable> & { body?: string };
  status: number;
  /** Headers that must be there so; undefined: that must not be there. */
  headers?: Record<string, string | undefined>;
  /** What the document says, without blanks. */
  says?: (string | RegExp)[];
  not?: RegExp;
  find?: Record<string, RegExp>;
}

const owner = '<Owner><ID>root</ID><DisplayName>root</DisplayName></Owner>';
const rows: Row[] = [
  {
    name: 'a bucket is made',
    is: 'PutBucket',
    ask: {
      method: 'PUT',
      path: '/photos/',
      body: '<CreateBucketConfiguration><StorageClass>Standard</StorageClass><DataRedundancyType>LRS</DataRedundancyType></CreateBucketConfiguration>',
    },
    status: 200,
    headers: { location: '/photos' },
  },
  { name: 'a bucket of our own is made again', is: 'PutBucket', ask: { method: 'PUT', path: '/photos/' }, status: 200 },
  {
    name: 'a bucket is described',
    is: 'GetBucketInfo',
    ask: { path: '/photos/', query: { bucketInfo: '' } },
    status: 200,
    says: [
      '<BucketInfo><Bucket><Name>photos</Name>',
      '<Location>us-east-1</Location>',
      '<StorageClass>Standard</StorageClass>',
      '<AccessControlList><Grant>private</Grant></AccessControlList>',
      owner,
    ],
    not: /Versioning/,
  },
  {
    name: 'buckets are listed',
    is: 'GetService',
    ask: {},
    status: 200,
    says: [`<ListAllMyBucketsResult>${owner}<Buckets><Bucket><Name>photos</Name><CreationDate>`],
  },
  { name: 'a bucket is there', is: 'HeadBucket', ask: { method: 'HEAD', path: '/photos/' }, status: 200 },
  {
    name: 'where a bucket is',
    is: 'GetBucketLocation',
    ask: { path: '/photos/', query: { location: '' } },
    status: 200,
    says: [/<LocationConstraint\/?>/],
  },
  {
    name: 'a bucket has no versions',
    is: 'GetBucketVersioning',
    ask: { path: '/photos/', query: { versioning: '' } },
    status: 200,
    says: [/^<\?xml[^>]+><VersioningConfiguration(\/>|><\/)/],
  },
  {
    name: 'an object is stored',
    is: 'PutObject',
    ask: {
      method: 'PUT',
      path: '/photos/a',
      headers: { 'x-oss-meta-colour': 'blue', 'content-type': 'text/plain' },
      body: 'hello',
    },
    status: 200,
    headers: { etag: '"5d41402abc4b2a76b9719d911017c592"' },
  },
  {
    name: 'an object of another class is stored',
    is: 'PutObject',
    ask: { method: 'PUT', path: '/photos/b', headers: { 'x-oss-storage-class': 'IA' }, body: 'ia' },
    status: 200,
  },
  {
    name: 'what an object is',
    is: 'HeadObject',
    ask: { method: 'HEAD', path: '/photos/a' },
    status: 200,
    headers: { 'x-oss-meta-colour': 'blue', 'content-type': 'text/plain', 'content-length': '5' },
  },
  {
    name: 'what class an object is of',
    is: 'HeadObject',
    ask: { method: 'HEAD', path: '/photos/b' },
    status: 200,
    headers: { 'x-oss-storage-class': 'IA' },
  },
  {
    name: 'an object is read',
    is: 'GetObject',
    ask: { path: '/photos/a' },
    status: 200,
    headers: { 'x-oss-meta-colour': 'blue' },
    says: [/^hello$/],
  },
  {
    name: 'some of an object is read',
    is: 'GetObject',
    ask: { path: '/photos/a', headers: { range: 'bytes=1-2' } },
    status: 206,
    headers: { 'content-range': 'bytes 1-2/5' },
    says: [/^el$/],
  },
  {
    name: 'an object that was not changed',
    is: 'GetObject',
    ask: { path: '/photos/a', headers: { 'if-none-match': '"5d41402abc4b2a76b9719d911017c592"' } },
    status: 304,
  },
  {
    name: 'an object is copied',
    is: 'CopyObject',
    ask: { method: 'PUT', path: '/photos/copy', headers: { 'x-oss-copy-source': '/photos/a' } },
    status: 200,
    says: ['<CopyObjectResult><LastModified>', '5d41402abc4b2a76b9719d911017c592'],
  },
  {
    name: 'a copy has other metadata',
    is: 'CopyObject',
    ask: {
      method: 'PUT',
      path: '/photos/copy',
      headers: { 'x-oss-copy-source': '/photos/a', 'x-oss-metadata-directive': 'REPLACE', 'x-oss-meta-colour': 'red' },
    },
    status: 200,
  },
  {
    name: 'what the copy is',
    is: 'HeadObject',
    ask: { method: 'HEAD', path: '/photos/copy' },
    status: 200,
    headers: { 'x-oss-meta-colour': 'red' },
  },
  {
    name: 'a copy whose source is another by now',
    is: 'PreconditionFailed',
    ask: {
      method: 'PUT',
      path: '/photos/copy',
      headers: { 'x-oss-copy-source': '/photos/a', 'x-oss-copy-source-if-match': '"other"' },
    },
    status: 412,
  },
  {
    name: 'a copy that would overwrite, whose source is another by now',
    is: 'PreconditionFailed',
    ask: {
      method: 'PUT',
      path: '/photos/copy',
      headers: {
        'x-oss-copy-source': '/photos/a',
        'x-oss-forbid-overwrite': 'true',
        'x-oss-copy-source-if-match': '"other"',
      },
    },
    status: 412,
  },
  {
    name: 'a copy that would overwrite',
    is: 'FileAlreadyExists',
    ask: {
      method: 'PUT',
      path: '/photos/copy',
      headers: { 'x-oss-copy-source': '/photos/a', 'x-oss-forbid-overwrite': 'true' },
    },
    status: 409,
  },
  {
    name: 'an object that would overwrite',
    is: 'FileAlreadyExists',
    ask: { method: 'PUT', path: '/photos/a', headers: { 'x-oss-forbid-overwrite': 'true' }, body: 'other' },
    status: 409,
    says: ['<Message>The object you specified already exists and can not be overwritten.</Message>'],
  },
  {
    name: 'an object that would overwrite nothing',
    is: 'PutObject',
    ask: { method: 'PUT', path: '/photos/new', headers: { 'x-oss-forbid-overwrite': 'true' }, body: 'new' },
    status: 200,
  },
  {
    name: 'an object that may overwrite',
    is: 'PutObject',
    ask: { method: 'PUT', path: '/photos/new', headers: { 'x-oss-forbid-overwrite': 'false' }, body: 'newer' },
    status: 200,
  },
  {
    name: 'objects are listed',
    is: 'GetBucket',
    ask: { path: '/photos/', query: { prefix: '', 'max-keys': '10', delimiter: '/' } },
    status: 200,
    says: [
      '<ListBucketResult><Name>photos</Name>',
      '<Contents><Key>a</Key>',
      '<StorageClass>Standard</StorageClass>',
      '<StorageClass>IA</StorageClass>',
      '<IsTruncated>false</IsTruncated>',
    ],
  },
  {
    name: 'objects are listed in the second form',
    is: 'GetBucketV2',
    ask: { path: '/photos/', query: { 'list-type': '2', 'max-keys': '2' } },
    status: 200,
    says: [
      '<ListBucketResult><Name>photos</Name>',
      '<KeyCount>2</KeyCount>',
      '<StorageClass>IA</StorageClass>',
      '<NextContinuationToken>',
    ],
  },
  {
    name: 'an object is stored with tags',
    is: 'PutObject',
    ask: { method: 'PUT', path: '/photos/t', headers: { 'x-oss-tagging': 'team=ops%20%2B&b' }, body: 'tagged' },
    status: 200,
  },
  {
    name: 'how many tags an object has',
    is: 'HeadObject',
    ask: { method: 'HEAD', path: '/photos/t' },
    status: 200,
    headers: { 'x-oss-tagging-count': '2' },
  },
  {
    name: 'an object is read with the count of its tags',
    is: 'GetObject',
    ask: { path: '/photos/t' },
    status: 200,
    headers: { 'x-oss-tagging-count': '2' },
  },
  {
    name: 'the tags of an object',
    is: 'GetObjectTagging',
    ask: { path: '/photos/t', query: { tagging: '' } },
    status: 200,
    says: ['<Tagging><TagSet><Tag><Key>team</Key><Value>ops +</Value></Tag><Tag><Key>b</Key><Value></Value></Tag>'],
  },
  {
    name: 'a copy has the tags of its source',
    is: 'CopyObject',
    ask: {
      method: 'PUT',
      path: '/photos/tcopy',
      headers: { 'x-oss-copy-source': '/photos/t', 'x-oss-tagging-directive': 'Copy' },
    },
    status: 200,
  },
  {
    name: 'the tags of the copy',
    is: 'GetObjectTagging',
    ask: { path: '/photos/tcopy', query: { tagging: '' } },
    status: 200,
    says: ['<Key>team</Key>'],
  },
  {
    name: 'a copy has other tags',
    is: 'CopyObject',
    ask: {
      method: 'PUT',
      path: '/photos/tcopy',
      headers: {
        'x-oss-copy-source': '/photos/t',
        'x-oss-tagging-directive': 'Replace',
        'x-oss-tagging': 'other=1',
      },
    },
    status: 200,
  },
  {
    name: 'the other tags of the copy',
    is: 'GetObjectTagging',
    ask: { path: '/photos/tcopy', query: { tagging: '' } },
    status: 200,
    says: ['<TagSet><Tag><Key>other</Key><Value>1</Value></Tag></TagSet>'],
  },
  {
    name: 'an object is given other tags',
    is: 'PutObjectTagging',
    ask: {
      method: 'PUT',
      path: '/photos/t',
      query: { tagging: '' },
      body: '<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>',
    },
    status: 200,
  },
  {
    name: 'the tags it was given',
    is: 'GetObjectTagging',
    ask: { path: '/photos/t', query: { tagging: '' } },
    status: 200,
    says: ['<TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet>'],
  },
  {
    name: 'the tags of an object are removed',
    is: 'DeleteObjectTagging',
    ask: { method: 'DELETE', path: '/photos/tcopy', query: { tagging: '' } },
    status: 204,
  },
  {
    name: 'an object without tags',
    is: 'HeadObject',
    ask: { method: 'HEAD', path: '/photos/tcopy' },
    status: 200,
    headers: { 'x-oss-tagging-count': undefined },
  },
  {
    name: 'an upload begins',
    is: 'InitiateMultipartUpload',
    ask: { method: 'POST', path: '/photos/large', query: { uploads: '' } },
    status: 200,
    says: ['<InitiateMultipartUploadResult><Bucket>photos</Bucket><Key>large</Key>'],
    find: { upload: /<UploadId>(.+)<\/UploadId>/ },
  },
  {
    name: 'a part is stored',
    is: 'UploadPart',
    ask: {
      method: 'PUT',
      path: '/photos/large',
      query: { partNumber: '1', uploadId: '{upload}' },
      body: 'x'.repeat(5 * 1024 * 1024),
    },
    status: 200,
    find: { one: /^"(\w+)"$/ },
  },
  {
    name: 'a part is copied',
    is: 'UploadPartCopy',
    ask: {
      method: 'PUT',
      path: '/photos/large',
      query: { partNumber: '2', uploadId: '{upload}' },
      headers: { 'x-oss-copy-source': '/photos/a', 'x-oss-copy-source-range': 'bytes=0-1' },
    },
    status: 200,
    says: ['<CopyPartResult>'],
    find: { two: /&quot;(\w+)&quot;/ },
  },
  {
    name: 'parts are listed',
    is: 'ListParts',
    ask: { path: '/photos/large', query: { uploadId: '{upload}' } },
    status: 200,
    says: [
      '<ListPartsResult>',
      '<PartNumber>2</PartNumber>',
      '<Size>2</Size>',
      '<StorageClass>Standard</StorageClass>',
    ],
  },
  {
    name: 'uploads are listed',
    is: 'ListMultipartUploads',
    ask: { path: '/photos/', query: { uploads: '' } },
    status: 200,
    says: ['<ListMultipartUploadsResult><Bucket>photos</Bucket>', '<Key>large</Key>'],
  },
  {
    name: 'an upload ends with a part that is not there',
    is: 'InvalidPart',
    ask: {
      method: 'POST',
      path: '/photos/large',
      query: { uploadId: '{upload}' },
      body: '<CompleteMultipartUpload><Part><PartNumber>3</PartNumber><ETag>"x"</ETag></Part></CompleteMultipartUpload>',
    },
    status: 400,
  },
  {
    name: 'an upload ends',
    is: 'CompleteMultipartUpload',
    ask: {
      method: 'POST',
      path: '/photos/large',
      query: { uploadId: '{upload}' },
      body: '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"{one}"</ETag></Part><Part><PartNumber>2</PartNumber><ETag>"{two}"</ETag></Part></CompleteMultipartUpload>',
    },
    status: 200,
    says: ['<CompleteMultipartUploadResult><Location>', '<Bucket>photos</Bucket><Key>large</Key><ETag>'],
  },
  {
    name: 'another upload begins',
    is: 'InitiateMultipartUpload',
    ask: { method: 'POST', path: '/photos/other', query: { uploads: '' } },
    status: 200,
    find: { upload: /<UploadId>(.+)<\/UploadId>/ },
  },
  {
    name: 'an upload is given up',
    is: 'AbortMultipartUpload',
    ask: { method: 'DELETE', path: '/photos/other', query: { uploadId: '{upload}' } },
    status: 204,
  },
  {
    name: 'an upload that is given up has no parts',
    is: 'NoSuchUpload',
    ask: { path: '/photos/other', query: { uploadId: '{upload}' } },
    status: 404,
  },
  {
    name: 'a bucket begins to keep versions',
    is: 'PutBucketVersioning',
    ask: {
      method: 'PUT',
      path: '/photos/',
      query: { versioning: '' },
      body: '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>',
    },
    status: 200,
  },
  {
    name: 'a bucket keeps versions',
    is: 'GetBucketVersioning',
    ask: { path: '/photos/', query: { versioning: '' } },
    status: 200,
    says: ['<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'],
  },
  {
    name: 'a bucket is described with its versions',
    is: 'GetBucketInfo',
    ask: { path: '/photos/', query: { bucketInfo: '' } },
    status: 200,
    says: ['<Versioning>Enabled</Versioning>'],
  },
  {
    name: 'an object is hidden',
    is: 'DeleteObject',
    ask: { method: 'DELETE', path: '/photos/a' },
    status: 204,
    headers: { 'x-oss-delete-marker': 'true', 'x-oss-version-id': '' },
  },
  {
    name: 'an object that is hidden is not there',
    is: 'NoSuchKey',
    ask: { path: '/photos/a' },
    status: 404,
    headers: { 'x-oss-delete-marker': 'true' },
  },
  {
    name: 'an object that is hidden has no tags to read',
    is: 'NoSuchKey',
    ask: { path: '/photos/a', query: { tagging: '' } },
    status: 404,
    headers: { 'x-oss-delete-marker': 'true', 'x-oss-version-id': '' },
  },
  {
    name: 'an object that is hidden takes no tags',
    is: 'NoSuchKey',
    ask: {
      method: 'PUT',
      path: '/photos/a',
      query: { tagging: '' },
      body: '<Tagging><TagSet></TagSet></Tagging>',
    },
    status: 404,
    headers: { 'x-oss-delete-marker': 'true' },
  },
  {
    name: 'an older version is given tags',
    is: 'PutObjectTagging',
    ask: {
      method: 'PUT',
      path: '/photos/a',
      query: { tagging: '', versionId: 'null' },
      body: '<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>',
    },
    status: 200,
    headers: { 'x-oss-version-id': 'null' },
  },
  {
    name: 'versions are listed',
    is: 'ListObjectVersions',
    ask: { path: '/photos/', query: { versions: '' } },
    status: 200,
    says: ['<ListVersionsResult>', '<DeleteMarker>', '<Key>a</Key>', '<StorageClass>Standard</StorageClass>'],
  },
  {
    name: 'an older version is read',
    is: 'GetObject',
    ask: { path: '/photos/a', query: { versionId: 'null' } },
    status: 200,
    headers: { 'x-oss-version-id': 'null', 'x-oss-tagging-count': '1' },
    says: [/^hello$/],
  },
  {
    name: 'objects are deleted',
    is: 'DeleteMultipleObjects',
    ask: {
      method: 'POST',
      path: '/photos/',
      query: { delete: '' },
      headers: { 'content-md5': 'WwNizmkgXmPcfSIqzdE0bw==' },
      body: '<Delete><Quiet>false</Quiet><Object><Key>copy</Key></Object></Delete>',
    },
    status: 200,
    says: ['<DeleteResult><Deleted><Key>copy</Key>'],
  },
  {
    name: 'a bucket with objects is removed',
    is: 'BucketNotEmpty',
    ask: { method: 'DELETE', path: '/photos/' },
    status: 409,
  },
  { name: 'a bucket of another name', is: 'PutBucket', ask: { method: 'PUT', path: '/empty/' }, status: 200 },
  { name: 'a bucket is removed', is: 'DeleteBucket', ask: { method: 'DELETE', path: '/empty/' }, status: 204 },

  {
    name: 'a bucket that is not there',
    is: 'NoSuchBucket',
    ask: { path: '/empty/' },
    status: 404,
    says: ['<Message>The specified bucket does not exist'],
  },
  {
    name: 'a bucket that is not there, without document',
    is: '',
    ask: { method: 'HEAD', path: '/empty/' },
    status: 404,
  },
  {
    name: 'an object that is not there',
    is: 'NoSuchKey',
    ask: { path: '/photos/nothing' },
    status: 404,
    headers: { 'x-oss-delete-marker': undefined },
  },
  {
    name: 'an object that is not there, without document',
    is: '',
    ask: { method: 'HEAD', path: '/photos/nothing' },
    status: 404,
  },
  {
    name: 'a range behind the end',
    is: 'InvalidRange',
    ask: { path: '/photos/b', headers: { range: 'bytes=100-' } },
    status: 416,
  },
  {
    name: 'a class that is none',
    is: 'InvalidStorageClass',
    ask: { method: 'PUT', path: '/photos/c', headers: { 'x-oss-storage-class': 'DeepColdArchive' } },
    status: 400,
  },
  {
    name: 'an encryption that would not be done',
    is: 'NotImplemented',
    ask: { method: 'PUT', path: '/photos/c', headers: { 'x-oss-server-side-encryption': 'AES256' } },
    status: 501,
  },
  {
    name: 'a tag that is named twice',
    is: 'InvalidArgument',
    ask: { method: 'PUT', path: '/photos/c', headers: { 'x-oss-tagging': 'a=b&a=c' } },
    status: 400,
    says: ["The header 'x-oss-tagging' shall"],
  },
  {
    name: 'a list of access of a bucket',
    is: 'NotImplemented',
    ask: { path: '/photos/', query: { acl: '' } },
    status: 501,
  },
  {
    name: 'an object that is appended to',
    is: 'NotImplemented',
    ask: { method: 'POST', path: '/photos/c', query: { append: '', position: '0' } },
    status: 501,
  },
  {
    name: 'a symbolic link',
    is: 'NotImplemented',
    ask: { method: 'PUT', path: '/photos/c', query: { symlink: '' } },
    status: 501,
  },
  {
    name: 'a method that means nothing',
    is: 'MethodNotAllowed',
    ask: { method: 'POST', path: '/photos/c' },
    status: 405,
  },
];

describe('in OSS words', () => {
  for (const row of rows) {
    test(`${row.name}: ${row.status} ${row.is}`, async () => {
      const text = JSON.stringify(row.ask);
      const answer = await send(JSON.parse(filled(text)) as Row['ask']);
      assert.equal(answer.status, row.status, answer.body);
      const refused = row.status >= 400;
      if (!refused) assert.equal(seen.at(-1), row.is);
      if (refused && row.ask.method !== 'HEAD') checkRefusal(answer, row.is);
      checkWords(answer);
      for (const [name, value] of Object.entries(row.headers ?? {})) {
        if (value === '') assert.ok(answer.headers[name] !== undefined, name);
        else assert.equal(answer.headers[name], value, name);
      }
      for (const part of row.says ?? []) {
        const flat = answer.body.replace(/>\s+</g, '><');
        assert.ok(typeof part === 'string' ? flat.includes(part) : part.test(flat), `${String(part)} in ${flat}`);
      }
      if (row.not !== undefined) assert.doesNotMatch(answer.body, row.not);
      for (const [name, pattern] of Object.entries(row.find ?? {})) {
        found[name] = pattern.exec(answer.body)?.[1] ?? pattern.exec(String(answer.headers.etag))?.[1] ?? '';
        assert.ok(found[name] !== '', name);
      }
    });
  }

  test('no row of the dialect is left out, and nothing was a fault of ours', () => {
    assert.deepEqual(
      ossOperations.map(({ name }) => name).filter((name) => !seen.includes(name)),
      [],
    );
    assert.deepEqual(faults, []);
  });
});

/** Whatever is answered: OSS's names of headers, no word of S3's documents. */
function checkWords({ headers, body }: Answered): void {
  assert.deepEqual(
    Object.keys(headers).filter((name) => name.startsWith('x-amz-')),
    [],
  );
  assert.match(String(headers['x-oss-request-id']), /^[0-9A-F]{16}$/);
  assert.doesNotMatch(body, /amazonaws|<StorageClass>[A-Z_]{3,}</);
}

/** The document of an error has OSS's elements, and tells which request it was. */
function checkRefusal({ headers, body }: Answered, code: string): void {
  const elements = [...body.matchAll(/<(\w+)>([^<]*)<\/\w+>/g)].map(([, name, text]) => [name!, text!] as const);
  const document = Object.fromEntries(elements);
  assert.equal(headers['content-type'], 'application/xml');
  assert.match(body, /^<\?xml version="1.0" encoding="UTF-8"\?>\n<Error><Code>/);
  assert.equal(document['Code'], code);
  assert.ok(document['Message']!.length > 10, body);
  assert.equal(document['RequestId'], headers['x-oss-request-id']);
  assert.equal(document['HostId'], 'test');
  assert.equal(document['Resource'], undefined, 'an element of S3');
}
