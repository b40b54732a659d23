import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as s3 from '@aws-sdk/client-s3';
import { type Front, startFront } from './front.ts';
import { refused } from './refused.ts';

const Bucket = 'versions';
let front: Front;
before(async () => {
  front = await startFront();
  await front.client.send(new s3.CreateBucketCommand({ Bucket }));
  await setVersioning('Enabled');
});
after(() => front[Symbol.asyncDispose]());

function setVersioning(Status: 'Enabled' | 'Suspended') {
  return front.client.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }));
}

async function put(Key: string, Body: string): Promise<string> {
  return (await front.client.send(new s3.PutObjectCommand({ Bucket, Key, Body }))).VersionId!;
}

async function get(Key: string, VersionId?: string): Promise<string> {
  const answer = await front.client.send(new s3.GetObjectCommand({ Bucket, Key, VersionId }));
  return (await answer.Body?.transformToString()) ?? '';
}

test('every version is read by its id, the newest without', async () => {
  const [one, two] = [await put('a', '1'), await put('a', '2')];
  assert.notEqual(one, two);
  assert.equal(await get('a', one), '1');
  assert.equal(await get('a', two), '2');
  assert.equal(await get('a'), '2');
  const head = await front.client.send(new s3.HeadObjectCommand({ Bucket, Key: 'a', VersionId: one }));
  assert.equal(head.VersionId, one);
});

test('a delete leaves a marker that says so, until it is itself deleted', async () => {
  const version = await put('marked', '1');
  const gone = await front.client.send(new s3.DeleteObjectCommand({ Bucket, Key: 'marked' }));
  assert.equal(gone.DeleteMarker, true);
  const path = `/${Bucket}/marked`;
  const hidden = await front.send('GET', path);
  assert.equal(hidden.status, 404);
  assert.equal(hidden.headers.get('x-amz-delete-marker'), 'true');
  assert.equal(hidden.headers.get('x-amz-version-id'), gone.VersionId);
  assert.equal((await front.send('HEAD', path)).headers.get('x-amz-delete-marker'), 'true');
  const named = await front.send('GET', `${path}?versionId=${gone.VersionId}`);
  assert.equal(named.status, 405);
  assert.equal(named.headers.get('allow'), 'DELETE');
  assert.equal(named.headers.get('x-amz-delete-marker'), 'true');
  assert.ok(named.headers.get('last-modified'));
  assert.equal(await get('marked', version), '1');
  const undone = await front.client.send(
    new s3.DeleteObjectCommand({ Bucket, Key: 'marked', VersionId: gone.VersionId }),
  );
  assert.equal(undone.DeleteMarker, true);
  assert.equal(undone.VersionId, gone.VersionId);
  assert.equal(await get('marked'), '1');
});

test('a version deleted by its id is gone for good', async () => {
  const [one, two] = [await put('gone', '1'), await put('gone', '2')];
  const answer = await front.client.send(new s3.DeleteObjectCommand({ Bucket, Key: 'gone', VersionId: two }));
  assert.equal(answer.VersionId, two);
  assert.equal(answer.DeleteMarker, undefined);
  assert.equal(await get('gone'), '1');
  assert.equal(await refused(get('gone', two)), '404 NoSuchVersion');
  assert.equal(await get('gone', one), '1');
});

test('an empty version id is refused', async () => {
  for (const method of ['GET', 'DELETE']) {
    const answer = await front.send(method, `/${Bucket}/a?versionId=`);
    assert.match(await answer.text(), /<Code>InvalidArgument<.*<ArgumentName>versionId</);
  }
});

test('DeleteObjects reports markers made and removed, for absent keys too', async () => {
  const version = await put('many', '1');
  const answer = await front.client.send(
    new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'many' }, { Key: 'never-was' }] } }),
  );
  for (const row of answer.Deleted ?? []) assert.ok(row.DeleteMarker && row.DeleteMarkerVersionId, row.Key);
  const marker = answer.Deleted!.find(({ Key }) => Key === 'many')!.DeleteMarkerVersionId!;
  const Objects = [
    { Key: 'many', VersionId: marker },
    { Key: 'many', VersionId: version },
  ];
  const both = await front.client.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  assert.deepEqual(
    both.Deleted?.map(({ VersionId, DeleteMarker }) => [VersionId, DeleteMarker]),
    [
      [marker, true],
      [version, undefined],
    ],
  );
});

test('an older version copied onto its key becomes the newest', async () => {
  const [one] = [await put('restore', 'old'), await put('restore', 'new')];
  const answer = await front.client.send(
    new s3.CopyObjectCommand({ Bucket, Key: 'restore', CopySource: `${Bucket}/restore?versionId=${one}` }),
  );
  assert.equal(answer.CopySourceVersionId, one);
  assert.equal(await get('restore', answer.VersionId), 'old');
  assert.equal(await get('restore'), 'old');
});

test('a delete marker is no source of a copy', async () => {
  await put('source', '1');
  const { VersionId } = await front.client.send(new s3.DeleteObjectCommand({ Bucket, Key: 'source' }));
  const copy = (CopySource: string) =>
    refused(front.client.send(new s3.CopyObjectCommand({ Bucket, Key: 'target', CopySource })));
  assert.equal(await copy(`${Bucket}/source?versionId=${VersionId}`), '400 InvalidRequest');
  assert.equal(await copy(`${Bucket}/source`), '404 NoSuchKey');
});

describe('listing versions', () => {
  const listed: string[] = [];
  before(async () => {
    for (const key of ['v/a', 'v/a', 'v/b', 'v/c/1', 'v/c/2']) listed.push(await put(key, key));
    await front.client.send(new s3.DeleteObjectCommand({ Bucket, Key: 'v/b' }));
  });

  const list = (more: Partial<s3.ListObjectVersionsCommandInput>) =>
    front.client.send(new s3.ListObjectVersionsCommand({ Bucket, Prefix: 'v/', ...more }));

  test('newest first within a key, markers among them', async () => {
    const page = await list({});
    assert.deepEqual(
      page.Versions?.map(({ Key, VersionId, IsLatest }) => [Key, VersionId, IsLatest]),
      [
        ['v/a', listed[1], true],
        ['v/a', listed[0], false],
        ['v/b', listed[2], false],
        ['v/c/1', listed[3], true],
        ['v/c/2', listed[4], true],
      ],
    );
    assert.deepEqual(
      page.DeleteMarkers?.map(({ Key, IsLatest }) => [Key, IsLatest]),
      [['v/b', true]],
    );
    assert.equal(page.Versions?.[0]?.Size, 3);
    assert.equal(page.Versions?.[0]?.Owner?.DisplayName, 'root');
  });

  test('page by page nothing is missed or shown twice', async () => {
    for (const MaxKeys of [1, 2, 3]) {
      const seen: string[] = [];
      let at: Partial<s3.ListObjectVersionsCommandInput> = {};
      for (let more = true; more;) {
        const page = await list({ MaxKeys, ...at });
        const rows = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
        assert.ok(rows.length <= MaxKeys);
        seen.push(...rows.map(({ Key, VersionId }) => `${Key} ${VersionId}`));
        more = page.IsTruncated === true;
        at = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
      }
      assert.equal(seen.length, 6);
      assert.equal(new Set(seen).size, 6);
    }
  });

  test('prefixes are rolled up', async () => {
    const page = await list({ Delimiter: '/' });
    assert.deepEqual(page.CommonPrefixes, [{ Prefix: 'v/c/' }]);
    assert.equal(page.Versions?.length, 3);
  });

  test('a version marker needs a key marker', async () => {
    assert.equal(await refused(list({ VersionIdMarker: 'x' })), '400 InvalidArgument');
  });
});

test('suspended, the null version is written over and the others stay', async () => {
  const kept = await put('suspended', 'kept');
  await setVersioning('Suspended');
  assert.equal(await put('suspended', 'one'), 'null');
  assert.equal(await put('suspended', 'two'), 'null');
  assert.equal(await get('suspended', 'null'), 'two');
  assert.equal(await get('suspended', kept), 'kept');
  await setVersioning('Enabled');
});

describe('the setting', () => {
  test('is shown once it was set', async () => {
    await front.client.send(new s3.CreateBucketCommand({ Bucket: 'never-versioned' }));
    const ask = async (name: string) =>
      (await front.client.send(new s3.GetBucketVersioningCommand({ Bucket: name }))).Status;
    assert.equal(await ask('never-versioned'), undefined);
    assert.equal(await ask(Bucket), 'Enabled');
  });

  const documents: [string, string][] = [
    ['<VersioningConfiguration/>', 'IllegalVersioningConfigurationException'],
    ['<VersioningConfiguration><Status>On</Status></VersioningConfiguration>', 'MalformedXML'],
    ['<VersioningConfiguration><Enabled/></VersioningConfiguration>', 'MalformedXML'],
    ['<Versioning><Status>Enabled</Status></Versioning>', 'MalformedXML'],
    ['', 'MalformedXML'],
    [
      '<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>',
      'NotImplemented',
    ],
  ];
  for (const [body, code] of documents) {
    test(`${body || 'nothing'} is refused`, async () => {
      const answer = await front.send('PUT', `/${Bucket}?versioning`, { body });
      assert.match(await answer.text(), new RegExp(`<Code>${code}<`));
    });
  }
});
