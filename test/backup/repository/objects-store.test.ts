/** Repositories in buckets of our own storage nodes, with stock restic beside us. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { CreateBucketCommand, PutBucketVersioningCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { openObjectsStore } from '../../../activities/backup/repository/objects-store.ts';
import { acquireLock } from '../../../activities/backup/repository/lock.ts';
import { initRepository, openRepository } from '../../../activities/backup/repository/repository.ts';
import { readBlob } from '../../../activities/backup/repository/read-blob.ts';
import type { RepositoryStore } from '../../../activities/backup/repository/store.ts';
import type { ObjectPlace } from '../../../activities/objects/place.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { account, startCluster, type TestCluster } from '../../storage/support/dev-cluster.ts';
import { cheap, loadedTable, password, writeSnapshot } from './support/repositories.ts';
import { restic, skipWithoutRestic, tryRestic } from './support/restic.ts';
import { describeRepositoryStore } from './support/store-conformance.ts';

const bucket = 'vault';
let cluster: TestCluster;

before(async () => {
  cluster = await startCluster();
  await cluster.client(0).send(new CreateBucketCommand({ Bucket: bucket }));
});
after(() => cluster?.[Symbol.asyncDispose]());

/** A place that no other test uses. */
function newPlace(): ObjectPlace {
  return {
    ...{ dialect: 's3', bucket, region: 'us-east-1', addressing: 'path' },
    prefix: `repositories/${randomBytes(6).toString('hex')}/`,
    endpoint: cluster.cluster.endpoints[0] as string,
    credentials: {
      kind: 'fixed',
      credentials: { accessKeyId: account.user, secretAccessKey: account.password },
    },
  };
}

for (const dialect of ['s3', 'oss'] as const) {
  describeRepositoryStore(`a bucket over ${dialect}`, async () => {
    const place = { ...newPlace(), dialect };
    const opened: RepositoryStore[] = [];
    const again = async (): Promise<RepositoryStore> => {
      const store = openObjectsStore(place);
      opened.push(store);
      return store;
    };
    return {
      store: await again(),
      again,
      async [Symbol.asyncDispose]() {
        for (const store of opened) await store.close();
      },
    };
  });
}

const keys = {
  AWS_ACCESS_KEY_ID: account.user,
  AWS_SECRET_ACCESS_KEY: account.password,
  AWS_DEFAULT_REGION: 'us-east-1',
};
const resticAddress = ({ endpoint, prefix }: ObjectPlace): string => `s3:${endpoint}/${bucket}/${prefix.slice(0, -1)}`;

test(
  'stock restic checks, restores and prunes a repository that we wrote to a bucket',
  { skip: skipWithoutRestic },
  async () => {
    const place = newPlace();
    const repository = await initRepository({ address: { kind: 'objects', place }, password, scrypt: cheap });
    const noise = randomBytes(2_000_000);
    await writeSnapshot(repository, { 'noise.bin': noise, 'd/text': Buffer.alloc(100_000, 'text ') });
    await repository.store.side.put('verify/ledger.json', Buffer.from('{}'));
    const at = resticAddress(place);
    assert.match(await restic(at, ['check', '--read-data'], { env: keys }), /no errors were found/);
    await restic(at, ['backup', '--stdin', '--stdin-filename', 'input'], { env: keys });
    await restic(at, ['forget', '--prune', '--group-by', '', '--keep-last', '1'], { env: keys });
    assert.match(await restic(at, ['check', '--read-data'], { env: keys }), /no errors were found/);
    assert.equal(await restic(at, ['dump', 'latest', 'input'], { env: keys }), 'from standard input\n');
    const lock = await acquireLock(repository, { exclusive: true });
    assert.match((await tryRestic(at, ['prune'], { env: keys })).stderr, /already locked exclusively/);
    await lock.confirm();
    await lock.release();
    await repository.close();
  },
);

test('what stock restic wrote to a bucket is read whole', { skip: skipWithoutRestic }, async () => {
  const place = newPlace();
  const at = resticAddress(place);
  await restic(at, ['init'], { env: keys });
  await restic(at, ['backup', '--stdin'], { env: keys });
  const repository = await openRepository({ address: { kind: 'objects', place }, password });
  const table = await loadedTable(repository);
  assert.equal(table.blobCount, 2);
  const slots: number[] = [];
  table.forEach((slot) => slots.push(slot));
  for (const slot of slots) await readBlob(repository, table, table.typeOf(slot), table.idOf(slot));
  await repository.close();
});

test('what is no file of the repository is passed over', async () => {
  const place = newPlace();
  const store = openObjectsStore(place);
  const name = 'a'.repeat(64);
  for (const key of ['data/', 'data/aa/', `data/${name}`, `data/bb/${name}`, 'data/aa/README', `index/old/${name}`]) {
    await cluster.client(0).send(new PutObjectCommand({ Bucket: bucket, Key: place.prefix + key, Body: 'x' }));
  }
  for (const kind of ['data', 'index'] as const) for await (const file of store.list(kind)) assert.fail(file.name);
  await store.close();
});

test('a listing of more than one page is whole', async () => {
  const store = openObjectsStore(newPlace());
  const names = Array.from({ length: 1_200 }, () => randomBytes(32).toString('hex'));
  // The store compares what it takes with the name, so these are no repository's files, but listed like them.
  await Promise.all(names.map((name) => store.side.put(`pages/${name}`, Buffer.from('x'))));
  const listed: string[] = [];
  for await (const name of store.side.list('pages/')) listed.push(name.slice('pages/'.length));
  assert.deepEqual(listed, names.toSorted());
  await store.close();
});

test('bytes that do not fit their name are refused by the store', async () => {
  const store = openObjectsStore(newPlace());
  await assert.rejects(store.write('data', 'b'.repeat(64), [Buffer.from('other bytes')]), (err) => {
    assert.ok(err instanceof MusterError && err.code === 'CHECKSUM_MISMATCH', String(err));
    return true;
  });
  assert.equal(await store.sizeOf('data', 'b'.repeat(64)), null);
  await store.close();
});

test('nothing is created only once where OSS would pass over that condition', async () => {
  const name = 'with-versions';
  const client = cluster.client(0);
  await client.send(new CreateBucketCommand({ Bucket: name }));
  const store = openObjectsStore({ ...newPlace(), dialect: 'oss', bucket: name });
  await store.side.put('turn', Buffer.from('1'), { onlyNew: true });
  await client.send(new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration: { Status: 'Enabled' } }));
  const later = openObjectsStore({ ...newPlace(), dialect: 'oss', bucket: name });
  await assert.rejects(later.side.put('turn', Buffer.from('2'), { onlyNew: true }), (err) => {
    assert.ok(err instanceof MusterError && err.code === 'OBJECT_STORE_REFUSED', String(err));
    return true;
  });
  await store.close();
  await later.close();
});

test('a bucket that is not there is named', async () => {
  const place = { ...newPlace(), bucket: 'no-such-bucket' };
  await assert.rejects(openRepository({ address: { kind: 'objects', place }, password }), (err) => {
    assert.ok(err instanceof MusterError && err.code === 'BUCKET_UNKNOWN', String(err));
    return true;
  });
});
