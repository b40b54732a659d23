/** A repository in a bucket that keeps its objects from being removed: MinIO with object lock. */
import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { after, before, test, type TestContext } from 'node:test';
import { backup, type BackupResult } from '../../../activities/backup/engine/backup.ts';
import { check } from '../../../activities/backup/engine/check.ts';
import { prune, type PruneResult } from '../../../activities/backup/engine/prune.ts';
import { renewLocks } from '../../../activities/backup/engine/renew-locks.ts';
import type { Repository } from '../../../activities/backup/repository/attach.ts';
import { acquireLock } from '../../../activities/backup/repository/lock.ts';
import { initRepository } from '../../../activities/backup/repository/repository.ts';
import { configName, pathOf, type FileKind, type NewRetention } from '../../../activities/backup/repository/store.ts';
import { openObjects } from '../../../activities/objects/open.ts';
import type { ObjectPlace } from '../../../activities/objects/place.ts';
import type { ObjectClient } from '../../../activities/objects/types.ts';
import { findMinio, startMinio, type Minio } from '../../objects/support/minio.ts';
import { eventually } from '../../support/eventually.ts';
import { cheap, password, reopen } from '../repository/support/repositories.ts';
import { restic, skipWithoutRestic } from '../repository/support/restic.ts';
import { createWorld, noise, type World } from './world.ts';

const binary = findMinio();
const options = { skip: binary === undefined ? 'minio is neither on PATH nor in ~/go/bin' : false, timeout: 120_000 };
const dayMs = 86_400_000;
const mib = 2 ** 20;
let minio: Minio;

before(async () => {
  if (binary !== undefined) minio = await startMinio(binary);
});
after(() => minio?.[Symbol.asyncDispose]());

interface Vault {
  world: World;
  place: ObjectPlace;
  client: ObjectClient;
  repository: Repository;
  save(): Promise<BackupResult>;
  /** Of every file of a kind. */
  ends(kind: FileKind): Promise<number[]>;
}

async function createVault(t: TestContext, retention?: NewRetention): Promise<Vault> {
  const world = await createWorld(t);
  const place: ObjectPlace = {
    ...{ dialect: 's3', bucket: `v-${randomBytes(6).toString('hex')}`, prefix: 'in/', region: 'us-east-1' },
    ...{ addressing: 'path', endpoint: minio.endpoint, credentials: { kind: 'fixed', credentials: minio } },
  };
  const client = openObjects(place);
  await client.createBucket({ lock: true });
  const address = { kind: 'objects', place, ...(retention && { retention }) } as const;
  const repository = await initRepository({ address, password, scrypt: cheap });
  t.after(async () => {
    await repository.close();
    await client[Symbol.asyncDispose]();
  });
  const locks = (await repository.store.objectLocks())!;
  return {
    ...{ world, place, client, repository },
    save: () => backup({ repository, paths: [world.source], threads: 1, host: 'test' }),
    async ends(kind) {
      const ends: number[] = [];
      for await (const { name } of repository.store.list(kind)) {
        const found = await locks.retentionOf(kind, name);
        ends.push(found === null || found === 'missing' ? 0 : found.untilMs);
      }
      return ends;
    },
  };
}

async function pruned({ repository }: Vault): Promise<PruneResult> {
  const lock = await acquireLock(repository, { exclusive: true });
  try {
    return await prune({ repository, lock, maxUnusedPercent: 0, threads: 1 });
  } finally {
    await lock.release();
  }
}

const inDays = (days: number): number => Date.now() + days * dayMs;
const lockedKinds = ['config', 'key', 'data', 'index', 'snapshot'] as const;

test(
  'new files are locked from the start where the address asks for it, locks of clients are not',
  options,
  async (t) => {
    const vault = await createVault(t, { mode: 'GOVERNANCE', forMs: 3 * dayMs });
    writeFileSync(vault.world.at('file'), noise(2 * mib));
    const lock = await acquireLock(vault.repository, { exclusive: false });
    await vault.save();
    for (const kind of lockedKinds) {
      const ends = await vault.ends(kind);
      assert.ok(
        ends.length > 0 && ends.every((end) => Math.abs(end - Date.now() - 3 * dayMs) < dayMs),
        `${kind}: ${ends.join(' ')}`,
      );
    }
    assert.deepEqual(await vault.ends('lock'), [0]);
    await lock.release();
    assert.deepEqual(await vault.ends('lock'), []);
    const key = `in/${pathOf('config', configName)}`;
    const { versionId } = await vault.client.head(key);
    await assert.rejects(vault.client.delete(key, { versionId: versionId! }), { code: 'OBJECT_LOCKED' });
  },
);

test(
  'stock restic checks and reads a vault that is locked',
  { ...options, skip: options.skip || skipWithoutRestic },
  async (t) => {
    const vault = await createVault(t, { mode: 'COMPLIANCE', forMs: dayMs });
    writeFileSync(vault.world.at('file'), noise(2 * mib));
    await vault.save();
    const env = { AWS_ACCESS_KEY_ID: minio.accessKeyId, AWS_SECRET_ACCESS_KEY: minio.secretAccessKey };
    const address = `s3:${minio.endpoint}/${vault.place.bucket}/in`;
    assert.match(await restic(address, ['check', '--read-data'], { env }), /no errors were found/);
  },
);

test(
  'a renewal locks what snapshots need and nothing else, and the next one costs only what is due',
  options,
  async (t) => {
    const vault = await createVault(t);
    const { repository } = vault;
    writeFileSync(vault.world.at('file'), noise(2 * mib));
    await vault.save();
    const orphan = await orphanPack(vault);
    const untilMs = Date.now() + 2 * dayMs;
    const first = await renewLocks({ repository, untilMs, mode: 'GOVERNANCE' });
    assert.deepEqual([first.kind, first.renewed, first.asked], ['renewed', first.files, first.files]);
    for (const kind of ['config', 'key', 'index', 'snapshot'] as const) {
      assert.ok(
        (await vault.ends(kind)).every((end) => Math.abs(end - untilMs) < 1_000),
        kind,
      );
    }
    assert.equal((await vault.ends('data')).filter((end) => end === 0).length, 1, 'all packs but the orphan');
    assert.equal(await (await repository.store.objectLocks())!.retentionOf('data', orphan), null);

    const again = await renewLocks({ repository, untilMs });
    assert.deepEqual([again.renewed, again.asked], [0, 3], 'nothing is due; a few are looked at all the same');
    writeFileSync(vault.world.at('more'), noise(mib, 5));
    await vault.save();
    const later = await renewLocks({ repository, untilMs: untilMs + dayMs, mode: 'GOVERNANCE' });
    assert.equal(later.renewed, later.files);
    assert.ok(later.files > first.files && later.asked <= later.files - first.files + 3, JSON.stringify(later));
  },
);

test('a lock that somebody made longer stays so', options, async (t) => {
  const vault = await createVault(t);
  const { repository, client } = vault;
  writeFileSync(vault.world.at('file'), noise(mib));
  await vault.save();
  await renewLocks({ repository, untilMs: inDays(2), mode: 'GOVERNANCE' });
  await client.putRetention('in/config', { mode: 'GOVERNANCE', untilMs: inDays(20) });
  const { renewed, files } = await renewLocks({ repository, untilMs: inDays(5), mode: 'GOVERNANCE' });
  assert.equal(renewed, files - 1);
  assert.ok((await vault.ends('config'))[0]! > inDays(19));
});

test('locks that somebody lifted are seen by those that are looked at, and all are set anew', options, async (t) => {
  const vault = await createVault(t);
  const { repository, client } = vault;
  writeFileSync(vault.world.at('file'), noise(mib));
  await vault.save();
  await renewLocks({ repository, untilMs: inDays(5), mode: 'GOVERNANCE' });
  for (const kind of lockedKinds) {
    for (const name of await namesOf(vault, kind)) {
      const shorter = { mode: 'GOVERNANCE', untilMs: inDays(1) } as const;
      await client.putRetention(`in/${pathOf(kind, name)}`, shorter, { bypassGovernance: true });
    }
  }
  const { renewed, files } = await renewLocks({ repository, untilMs: inDays(5), mode: 'GOVERNANCE' });
  assert.equal(renewed, files);
  assert.ok((await vault.ends('data')).every((end) => end > inDays(4)));
});

test('a prune reports the packs that are still locked, and a later one removes them for good', options, async (t) => {
  const vault = await createVault(t);
  const { repository, client } = vault;
  writeFileSync(vault.world.at('file'), noise(2 * mib));
  const old = await vault.save();
  const untilMs = inDays(1);
  await renewLocks({ repository, untilMs, mode: 'GOVERNANCE' });
  writeFileSync(vault.world.at('file'), noise(3 * mib, 2));
  await vault.save();
  await repository.store.remove('snapshot', old.snapshot.id);
  const first = await pruned(vault);
  assert.ok(first.held.count > 0 && first.held.bytes > 2 * mib, JSON.stringify(first));
  assert.ok(Math.abs(first.held.untilMs! - untilMs) < 1_000);
  const checked = await check({ repository: await reopen(repository), read: { kind: 'all' }, threads: 1 });
  assert.equal(checked.kind, 'intact');
  assert.equal(checked.problems.length, first.held.count, 'what is held stands in no index');

  // Nobody waits for a day: the locks end in a moment instead, but not before the store has been asked for it.
  for (const name of await namesOf(vault, 'data')) {
    const soon = { mode: 'GOVERNANCE', untilMs: Date.now() + 5_000 } as const;
    await client.putRetention(`in/${pathOf('data', name)}`, soon, { bypassGovernance: true });
  }
  // The locks end one after the other, and a prune may meet some of them.
  let gone = 0;
  await eventually(
    'the locks have ended',
    async () => {
      const { packs, held } = await pruned(vault);
      gone += packs.orphans - held.count;
      return held.count === 0;
    },
    90_000,
  );
  assert.equal(gone, first.held.count);
  const versions = (await client.listVersions({ prefix: 'in/data/' })).versions;
  const packs = [];
  for await (const { name } of repository.store.list('data')) packs.push(`in/${pathOf('data', name)}`);
  assert.deepEqual(versions.map(({ key }) => key).toSorted(), packs.toSorted(), 'no version of it is left');
});

test('a file that is missing is named, and the others are locked all the same', options, async (t) => {
  const vault = await createVault(t);
  const { repository } = vault;
  writeFileSync(vault.world.at('file'), noise(mib));
  await vault.save();
  const [pack] = await namesOf(vault, 'data');
  await repository.store.remove('data', pack!);
  const result = await renewLocks({ repository, untilMs: Date.now() + dayMs, mode: 'GOVERNANCE' });
  assert.equal(result.kind, 'partial');
  assert.ok(
    result.missing.some((one) => one.includes(pack!)),
    JSON.stringify(result.missing),
  );
  assert.equal(result.renewed, result.files - 1);
});

test('where single files cannot be locked, a renewal says so and a prune goes on', async (t) => {
  const world = await createWorld(t);
  writeFileSync(world.at('file'), 'file');
  await world.save();
  const renewal = renewLocks({ repository: world.repository, untilMs: Date.now() + dayMs });
  await assert.rejects(renewal, { code: 'OBJECT_STORE_REFUSED', message: /make the bucket with object lock/ });
  const lock = await acquireLock(world.repository, { exclusive: true });
  assert.deepEqual((await prune({ repository: world.repository, lock })).held, { count: 0, bytes: 0, untilMs: null });
  await lock.release();
});

async function namesOf({ repository }: Vault, kind: FileKind): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of repository.store.list(kind)) names.push(name);
  return names;
}

/** What a backup that was killed leaves: a pack that no index names. */
async function orphanPack({ repository }: Vault): Promise<string> {
  const bytes = noise(mib, 77);
  const name = hash('sha256', bytes);
  await repository.store.write('data', name, [bytes]);
  return name;
}
