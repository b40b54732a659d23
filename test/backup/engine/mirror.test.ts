import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { check } from '../../../activities/backup/engine/check.ts';
import { mirror } from '../../../activities/backup/engine/mirror.ts';
import { restore } from '../../../activities/backup/engine/restore.ts';
import { openStore } from '../../../activities/backup/repository/open-store.ts';
import { openRepository } from '../../../activities/backup/repository/repository.ts';
import { initCheaply, password } from '../repository/support/repositories.ts';
import { createWorld, noise, type World } from './world.ts';

const copyAddress = (world: World) => ({ kind: 'directory', path: path.join(world.dir, 'copy') }) as const;

test('a mirror opens with the same password, holds the same, and takes only what is new', async (t) => {
  const world = await createWorld(t);
  writeFileSync(world.at('one'), noise(3_000_000));
  await world.save();
  const to = await openStore(copyAddress(world));
  const from = world.repository.store;
  const first = await mirror({ from, to });
  assert.deepEqual([first.files, first.bytes], [first.ofFiles, first.ofBytes]);
  writeFileSync(world.at('two'), noise(1_000_000, 2));
  const { snapshot } = await world.save();
  const second = await mirror({ from, to });
  assert.ok(second.bytes > 1_000_000 && second.bytes < 1_200_000, `${second.bytes} bytes`);

  const repository = await openRepository({ address: copyAddress(world), password });
  assert.equal((await check({ repository, read: { kind: 'all' }, threads: 1 })).kind, 'intact');
  const target = path.join(world.dir, 'restored');
  await restore({ repository, snapshot, target, subpath: world.source, threads: 1 });
  assert.deepEqual(readFileSync(path.join(target, 'two')), readFileSync(world.at('two')));
  await repository.close();
});

test('what is gone from the source goes from the mirror only when asked', async (t) => {
  const world = await createWorld(t);
  writeFileSync(world.at('one'), noise(10_000));
  const { snapshot } = await world.save();
  const [from, to] = [world.repository.store, await openStore(copyAddress(world))];
  await mirror({ from, to });
  await from.remove('snapshot', snapshot.id);
  assert.equal((await mirror({ from, to })).removed, 0);
  assert.notEqual(await to.sizeOf('snapshot', snapshot.id), null);
  assert.equal((await mirror({ from, to, remove: true })).removed, 1);
  assert.equal(await to.sizeOf('snapshot', snapshot.id), null);
});

test('packs that a killed backup left in no index are not copied, and go from a mirror that has them', async (t) => {
  const world = await createWorld(t);
  writeFileSync(world.at('one'), noise(3_000_000));
  await world.save();
  const [{ store: from, sealer }, to] = [world.repository, await openStore(copyAddress(world))];
  const orphan = noise(2_000_000, 3);
  const name = hash('sha256', orphan);
  await from.write('data', name, [orphan]);
  await mirror({ from, to });
  assert.notEqual(await to.sizeOf('data', name), null);
  assert.equal((await mirror({ from, sealer, to, remove: true })).removed, 1);
  assert.equal(await to.sizeOf('data', name), null);
  assert.equal((await mirror({ from, sealer, to })).files, 0);

  const repository = await openRepository({ address: copyAddress(world), password });
  assert.deepEqual((await check({ repository, read: { kind: 'all' }, threads: 1 })).problems, []);
  await repository.close();
});

test('a repository is not mirrored over another one', async (t) => {
  const world = await createWorld(t);
  await (await initCheaply(copyAddress(world).path)).close();
  const to = await openStore(copyAddress(world));
  await assert.rejects(mirror({ from: world.repository.store, to }), { code: 'REPOSITORY_EXISTS' });
});
