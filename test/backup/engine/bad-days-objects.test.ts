/** A repository in a bucket, on days when the bucket, the keys or the line fail in the midst of a backup. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { backup, type BackupResult } from '../../../activities/backup/engine/backup.ts';
import { check } from '../../../activities/backup/engine/check.ts';
import { prune } from '../../../activities/backup/engine/prune.ts';
import type { Repository } from '../../../activities/backup/repository/attach.ts';
import { createBlobTable } from '../../../activities/backup/repository/blob-table.ts';
import { loadIndex } from '../../../activities/backup/repository/index-load.ts';
import { acquireLock } from '../../../activities/backup/repository/lock.ts';
import { initRepository } from '../../../activities/backup/repository/repository.ts';
import { listSnapshots } from '../../../activities/backup/repository/snapshot.ts';
import { openObjects } from '../../../activities/objects/open.ts';
import type { ObjectPlace } from '../../../activities/objects/place.ts';
import type { MusterError } from '../../../workflows/engine/errors.ts';
import { errorDocument, type Scripted } from '../../objects/support/front.ts';
import { keys, placeAt, withWays } from '../../objects/support/ways.ts';
import { cheap, password, reopen } from '../repository/support/repositories.ts';
import { restic, skipWithoutRestic } from '../repository/support/restic.ts';
import { createWorld, noise, type World } from './world.ts';

const ways = withWays();
const mib = 2 ** 20;
const limits = { tries: 3, deadlineMs: 10_000 };

interface Vault {
  place: ObjectPlace;
  repository: Repository;
  save(): Promise<BackupResult>;
}

/** A repository in a bucket of its own, reached through the relay or the front, and something to save in it. */
async function createVault(t: TestContext, world: World, way: 'front' | 'relay'): Promise<Vault> {
  [ways.front.script, ways.relay.faults] = [() => undefined, {}];
  const place = {
    ...placeAt(ways[way].endpoint, limits),
    bucket: `v-${randomBytes(6).toString('hex')}`,
    prefix: 'in/',
  };
  await using client = openObjects(place);
  await client.createBucket();
  const repository = await initRepository({ address: { kind: 'objects', place }, password, scrypt: cheap });
  t.after(() => repository.close());
  for (let i = 0; i < 4; i++) writeFileSync(world.at(`file ${i}`), noise(12 * mib, i + 1));
  const save = () => backup({ repository, paths: [world.source], threads: 1, host: 'test' });
  return { place, repository, save };
}

/** Nothing twice, nothing in no index, every byte right. */
async function assertSound({ repository }: Vault): Promise<void> {
  const { duplicates } = await loadIndex(repository, createBlobTable());
  const { kind, problems } = await check({ repository: await reopen(repository), read: { kind: 'all' }, threads: 1 });
  assert.deepEqual([duplicates, kind, problems], [[], 'intact', []]);
}

const refusals: { name: string; answer: Scripted; code: string; hint: RegExp }[] = [
  {
    name: 'credentials that expire in the midst',
    answer: { status: 403, body: errorDocument('ExpiredToken', 'the provided token has expired') },
    ...{ code: 'CREDENTIALS_REFUSED', hint: /give the right and run it again, it goes on where it was/ },
  },
  {
    name: 'a bucket that gets full',
    answer: { status: 507, body: errorDocument('XMinioStorageFull', 'storage backend has reached its minimum') },
    ...{ code: 'TARGET_FULL', hint: /what was written is kept and goes on from there/ },
  },
];

for (const { name, answer, code, hint } of refusals) {
  test(`${name}: ${code}, no snapshot, and the next backup goes on`, async (t) => {
    const world = await createWorld(t);
    const vault = await createVault(t, world, 'front');
    let packs = 0;
    ways.front.script = (request) => {
      if (/^PUT .*\/data\//.test(request)) packs += 1;
      return packs > 2 && !request.startsWith('GET') ? answer : undefined;
    };
    await assert.rejects(vault.save(), (err: MusterError) => {
      assert.equal(err.code, code, String(err));
      assert.match(err.hint, hint);
      return true;
    });
    ways.front.script = () => undefined;
    assert.deepEqual((await listSnapshots(vault.repository)).snapshots, []);
    const second = await vault.save();
    assert.deepEqual([second.kind, second.adopted], ['complete', 2]);
    assert.ok(second.added.data.bytes < 20 * mib, `${second.added.data.bytes} bytes written again`);
    await assertSound(vault);
  });
}

test('a connection that is cut in the midst of an upload costs nothing; one that is always cut, no snapshot', async (t) => {
  const world = await createWorld(t);
  const vault = await createVault(t, world, 'relay');
  let cuts = 0;
  const inPack = ({ head, upBytes }: { head: string; upBytes: number }): boolean =>
    /^PUT \S*\/data\//.test(head) && upBytes > mib;
  ways.relay.faults = { up: (piece, link) => (inPack(link) && cuts < 2 ? ((cuts += 1), 'cut') : piece) };
  assert.equal((await vault.save()).kind, 'complete');
  assert.equal(cuts, 2);

  writeFileSync(world.at('another'), noise(12 * mib, 9));
  ways.relay.faults = { up: (piece, link) => (inPack(link) ? 'cut' : piece) };
  await assert.rejects(vault.save(), { code: 'OBJECT_STORE_UNREACHABLE' });
  ways.relay.faults = {};
  assert.equal((await listSnapshots(vault.repository)).snapshots.length, 1);
  assert.equal((await vault.save()).kind, 'complete');
  await assertSound(vault);
});

test(
  'a repository stays whole when the versioning of its bucket is suspended, for restic as well',
  { skip: skipWithoutRestic },
  async (t) => {
    const world = await createWorld(t);
    const vault = await createVault(t, world, 'front');
    await using client = openObjects(vault.place);
    await client.setVersioning('enabled');
    const first = await vault.save();
    await client.setVersioning('suspended');
    writeFileSync(world.at('file 0'), noise(12 * mib, 7));
    await vault.save();
    const lock = await acquireLock(vault.repository, { exclusive: true });
    await vault.repository.store.remove('snapshot', first.snapshot.id);
    await prune({ repository: vault.repository, lock, maxUnusedPercent: 0, threads: 1 });
    await lock.release();
    await assertSound(vault);
    const address = `s3:${vault.place.endpoint}/${vault.place.bucket}/in`;
    const env = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey };
    assert.match(await restic(address, ['check', '--read-data'], { env }), /no errors were found/);
  },
);
