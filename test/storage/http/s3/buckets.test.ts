import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as s3 from '@aws-sdk/client-s3';
import { type Front, startFront } from './front.ts';
import { refused } from './refused.ts';

let front: Front;
before(async () => {
  front = await startFront();
});
after(() => front[Symbol.asyncDispose]());

const create = (Bucket: string, more: Partial<s3.CreateBucketCommandInput> = {}) =>
  front.client.send(new s3.CreateBucketCommand({ Bucket, ...more }));

test('a bucket is made, seen, listed and removed', async () => {
  const made = await create('first');
  assert.equal(made.Location, '/first');
  const head = await front.client.send(new s3.HeadBucketCommand({ Bucket: 'first' }));
  assert.equal(head.BucketRegion, 'us-east-1');
  const { Buckets, Owner } = await front.client.send(new s3.ListBucketsCommand({}));
  assert.ok(Buckets?.some(({ Name, CreationDate }) => Name === 'first' && CreationDate instanceof Date));
  assert.deepEqual(Owner, { ID: 'root', DisplayName: 'root' });
  assert.equal(await refused(front.client.send(new s3.DeleteBucketCommand({ Bucket: 'first' }))), 'done');
  assert.equal(await refused(front.client.send(new s3.HeadBucketCommand({ Bucket: 'first' }))), '404 NotFound');
  assert.equal(await refused(front.client.send(new s3.DeleteBucketCommand({ Bucket: 'first' }))), '404 NoSuchBucket');
});

test('a bucket with something in it stays', async () => {
  await create('full');
  await front.client.send(new s3.PutObjectCommand({ Bucket: 'full', Key: 'x', Body: '' }));
  assert.equal(await refused(front.client.send(new s3.DeleteBucketCommand({ Bucket: 'full' }))), '409 BucketNotEmpty');
});

test('made again by its owner it is the same; in another region than the first that is refused', async () => {
  await create('again');
  await front.client.send(new s3.PutObjectCommand({ Bucket: 'again', Key: 'kept', Body: '' }));
  assert.equal(await refused(create('again')), 'done');
  assert.equal(await refused(front.client.send(new s3.HeadObjectCommand({ Bucket: 'again', Key: 'kept' }))), 'done');
  await using elsewhere = await startFront({ region: 'cn-hangzhou' });
  const make = () => elsewhere.client.send(new s3.CreateBucketCommand({ Bucket: 'again' }));
  assert.equal(await refused(make()), 'done');
  assert.equal(await refused(make()), '409 BucketAlreadyOwnedByYou');
  const location = await elsewhere.client.send(new s3.GetBucketLocationCommand({ Bucket: 'again' }));
  assert.equal(location.LocationConstraint, 'cn-hangzhou');
});

test('names S3 does not allow are refused', async () => {
  for (const name of ['ab', 'UPPER', 'under_score', '192.168.0.1', 'a..b']) {
    const answer = await front.send('PUT', `/${name}`);
    assert.match(await answer.text(), /<Code>InvalidBucketName</);
  }
});

describe('what a client wants of a new bucket', () => {
  const wants: [string, Partial<s3.CreateBucketCommandInput>, string][] = [
    ['no region', { CreateBucketConfiguration: {} }, 'done'],
    ['this region', { CreateBucketConfiguration: { LocationConstraint: 'us-east-1' as 'EU' } }, 'done'],
    [
      'another region',
      { CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' } },
      '400 InvalidLocationConstraint',
    ],
    ['a private list of access', { ACL: 'private' }, 'done'],
    ['a public one', { ACL: 'public-read' }, '400 InvalidBucketAclWithObjectOwnership'],
    ['locks', { ObjectLockEnabledForBucket: true }, '501 NotImplemented'],
    ['no lists of access', { ObjectOwnership: 'BucketOwnerEnforced' }, 'done'],
    ['lists of access', { ObjectOwnership: 'ObjectWriter' }, '501 NotImplemented'],
    ['tags', { CreateBucketConfiguration: { Tags: [{ Key: 'a', Value: 'b' }] } }, '400 MalformedXML'],
  ];
  for (const [i, [name, input, expected]] of wants.entries()) {
    test(name, async () => assert.equal(await refused(create(`wants-${i}`, input)), expected));
  }
});

test('the first region has no name in GetBucketLocation', async () => {
  await create('located');
  const answer = await front.send('GET', '/located?location');
  assert.match(await answer.text(), /<LocationConstraint xmlns="[^"]+"><\/LocationConstraint>$/);
});

test('buckets are listed by prefix, region and page', async () => {
  for (const name of ['list-a', 'list-b', 'list-c']) await create(name);
  const list = async (more: s3.ListBucketsCommandInput) => {
    const page = await front.client.send(new s3.ListBucketsCommand({ Prefix: 'list-', ...more }));
    return { names: page.Buckets?.map(({ Name }) => Name), token: page.ContinuationToken, prefix: page.Prefix };
  };
  const first = await list({ MaxBuckets: 2 });
  assert.deepEqual(first.names, ['list-a', 'list-b']);
  assert.equal(first.prefix, 'list-');
  const second = await list({ MaxBuckets: 2, ContinuationToken: first.token });
  assert.deepEqual(second.names, ['list-c']);
  assert.equal(second.token, undefined);
  assert.equal((await list({ BucketRegion: 'eu-west-1' })).names?.length ?? 0, 0);
  assert.equal(await refused(front.client.send(new s3.ListBucketsCommand({ MaxBuckets: 0 }))), '400 InvalidArgument');
});

describe('questions about what is not there', () => {
  const Bucket = 'asked';
  const Key = 'k';
  before(async () => {
    await create(Bucket);
    await front.client.send(new s3.PutObjectCommand({ Bucket, Key, Body: '' }));
  });

  const missing: [string, string][] = [
    ['?policy', 'NoSuchBucketPolicy'],
    ['?policyStatus', 'NoSuchBucketPolicy'],
    ['?tagging', 'NoSuchTagSet'],
    ['?encryption', 'ServerSideEncryptionConfigurationNotFoundError'],
    ['?lifecycle', 'NoSuchLifecycleConfiguration'],
    ['?cors', 'NoSuchCORSConfiguration'],
    ['?object-lock', 'ObjectLockConfigurationNotFoundError'],
    ['?replication', 'ReplicationConfigurationNotFoundError'],
    ['?publicAccessBlock', 'NoSuchPublicAccessBlockConfiguration'],
    ['?website', 'NoSuchWebsiteConfiguration'],
  ];
  for (const [query, code] of missing) {
    test(`${query} is ${code}, and NoSuchBucket without a bucket`, async () => {
      const answer = await front.send('GET', `/${Bucket}${query}`);
      assert.equal(answer.status, 404);
      assert.match(await answer.text(), new RegExp(`<Code>${code}<`));
      assert.match(await (await front.send('GET', `/nowhere${query}`)).text(), /<Code>NoSuchBucket</);
    });
  }

  test('the owner has full control of buckets and objects', async () => {
    const { client } = front;
    for (const acl of [
      await client.send(new s3.GetBucketAclCommand({ Bucket })),
      await client.send(new s3.GetObjectAclCommand({ Bucket, Key })),
    ]) {
      assert.deepEqual(acl.Owner, { ID: 'root', DisplayName: 'root' });
      assert.deepEqual(acl.Grants, [
        { Grantee: { ID: 'root', DisplayName: 'root', Type: 'CanonicalUser' }, Permission: 'FULL_CONTROL' },
      ]);
    }
  });

  test('settings that are always the same are said', async () => {
    const { client } = front;
    const controls = await client.send(new s3.GetBucketOwnershipControlsCommand({ Bucket }));
    assert.deepEqual(controls.OwnershipControls?.Rules, [{ ObjectOwnership: 'BucketOwnerEnforced' }]);
    const { Payer } = await client.send(new s3.GetBucketRequestPaymentCommand({ Bucket }));
    assert.equal(Payer, 'BucketOwner');
    const logging = await client.send(new s3.GetBucketLoggingCommand({ Bucket }));
    assert.equal(logging.LoggingEnabled, undefined);
    const accelerate = await client.send(new s3.GetBucketAccelerateConfigurationCommand({ Bucket }));
    assert.equal(accelerate.Status, undefined);
    const notification = await client.send(new s3.GetBucketNotificationConfigurationCommand({ Bucket }));
    assert.equal(notification.QueueConfigurations, undefined);
  });

  test('an object in a bucket without locks has none', async () => {
    const retention = front.client.send(new s3.GetObjectRetentionCommand({ Bucket, Key }));
    assert.equal(await refused(retention), '400 InvalidRequest');
  });
});
