import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { check } from '../../../activities/backup/engine/check.ts';
import { prune } from '../../../activities/backup/engine/prune.ts';
import { restore } from '../../../activities/backup/engine/restore.ts';
import { acquireLock } from '../../../activities/backup/repository/lock.ts';
import { createWorld, fresh, noise, type World } from './world.ts';

/** Two files that lie in packs of their own: each is larger than a pack. */
async function twoFiles(t: Parameters<typeof createWorld>[0]): Promise<World> {
  const world = await createWorld(t);
  writeFileSync(world.at('left'), noise(18 * 2 ** 20, 1));
  await world.save({ threads: 1 });
  writeFileSync(world.at('right'), noise(18 * 2 ** 20, 2));
  return world;
}

/** Packs that were not there before. */
function packs(world: World, before: readonly string[] = []): string[] {
  const folder = path.join(world.dir, 'repo', 'data');
  const all = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => path.join(one.parentPath, one.name));
  return all.filter((file) => !before.includes(file));
}

const largest = (files: string[]): string => files.toSorted((a, b) => statSync(b).size - statSync(a).size)[0]!;

const damages: { name: string; damage: (file: string) => void; says: RegExp }[] = [
  {
    name: 'one flipped bit',
    damage: (file) => {
      const bytes = readFileSync(file);
      bytes[1_000_000]! ^= 4;
      rmSync(file);
      writeFileSync(file, bytes);
    },
    says: /another hash|wrong MAC/,
  },
  { name: 'a truncated pack', damage: (file) => truncateSync(file, 5_000_000), says: /bytes long|ends before/ },
  { name: 'a missing pack', damage: (file) => rmSync(file), says: /is missing/ },
];

for (const { name, damage, says } of damages) {
  test(`${name} is found and named by the file that it hurts, and by no other`, async (t) => {
    const world = await twoFiles(t);
    const before = packs(world);
    const { snapshot } = await world.save({ threads: 1 });
    damage(largest(packs(world, before)));
    const repository = await fresh(world);
    const result = await check({ repository, read: { kind: 'all' }, threads: 2 });
    assert.equal(result.kind, 'damaged');
    assert.deepEqual([...new Set(result.hurt.map((one) => one.path))], [world.at('right')]);
    const damaged = result.problems.filter(({ severity }) => severity === 'damage');
    assert.ok(
      damaged.some(({ file, why }) => file.startsWith('data/') && says.test(why)),
      JSON.stringify(damaged).slice(0, 500),
    );

    const target = path.join(world.dir, 'restored');
    const restored = await restore({ repository, snapshot, target, subpath: world.source, threads: 2 });
    assert.equal(restored.kind, 'partial');
    assert.deepEqual(
      restored.problems.map((one) => one.path),
      ['/right'],
    );
    assert.deepEqual(readdirSync(target), ['left']);
    assert.deepEqual(readFileSync(path.join(target, 'left')), readFileSync(world.at('left')));
  });
}

test('a repository that lacks a pack is not pruned', async (t) => {
  const world = await twoFiles(t);
  const before = packs(world);
  await world.save({ threads: 1 });
  for (const file of packs(world, before)) rmSync(file);
  const lock = await acquireLock(world.repository, { exclusive: true });
  await assert.rejects(prune({ repository: world.repository, lock }), { code: 'REPOSITORY_DAMAGED' });
  await lock.release();
});

test('packs that were read and found right are remembered, the oldest first', async (t) => {
  const world = await twoFiles(t);
  await world.save({ threads: 1 });
  const repository = await fresh(world);
  const first = await check({ repository, threads: 1, nowMs: () => 1_000_000 });
  assert.deepEqual([first.packs.read, first.verified.oldestAgeSeconds], [0, null]);
  const half = await check({ repository, read: { kind: 'oldest', percent: 50 }, threads: 1, nowMs: () => 1_000_000 });
  assert.ok(half.packs.read > 0 && half.verified.never > 0);
  assert.equal(half.verified.never, half.packs.count - half.packs.read);
  const rest = await check({
    repository,
    read: { kind: 'older', thanMs: 500_000 },
    threads: 1,
    nowMs: () => 1_200_000,
  });
  assert.equal(rest.packs.read, half.verified.never);
  assert.deepEqual(rest.verified, { never: 0, oldestAgeSeconds: 200 });
});
