import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { check } from '../../../activities/backup/engine/check.ts';
import { oldestUnverified } from '../../../activities/backup/engine/verified-packs.ts';
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

test('a lost directory of a snapshot is named, and what lies in others is not', async (t) => {
  const world = await createWorld(t);
  mkdirSync(world.at('lost'));
  writeFileSync(world.at('lost', 'file'), noise(1_000));
  await world.save();
  const before = packs(world);
  mkdirSync(world.at('kept'));
  writeFileSync(world.at('kept', 'file'), noise(1_000, 2));
  const { snapshot } = await world.save();
  // The trees of the first backup that the second still needs lie in one pack of the first.
  for (const file of before.toSorted((a, b) => statSync(a).size - statSync(b).size).slice(0, 1)) rmSync(file);
  const result = await check({ repository: await fresh(world), threads: 1 });
  assert.equal(result.kind, 'damaged');
  const hurt = result.hurt.filter((one) => one.snapshot === snapshot.id.slice(0, 8)).map((one) => one.path);
  assert.ok(result.hurt.length > 0 && hurt.every((one) => !one.includes('kept')), JSON.stringify(result.hurt));
});

test('the age of the pack that nobody has seen right for longest is told, from its writing on', async (t) => {
  const world = await createWorld(t);
  assert.deepEqual(await oldestUnverified(world.repository), { ageSeconds: null, packs: 0, unverified: 0 });
  writeFileSync(world.at('file'), noise(1_000));
  await world.save();
  const dayMs = 86_400_000;
  const nowMs = Date.now() + 10 * dayMs;
  const first = await oldestUnverified(world.repository, nowMs);
  assert.deepEqual([first.packs, first.unverified, Math.round(first.ageSeconds! / 86_400)], [2, 2, 10]);

  await check({ repository: await fresh(world), read: { kind: 'all' }, threads: 1, nowMs: () => nowMs - 3 * dayMs });
  const second = await oldestUnverified(world.repository, nowMs);
  assert.deepEqual(second, { ageSeconds: 3 * 86_400, packs: 2, unverified: 0 });
  const early = await oldestUnverified(world.repository, nowMs - 4 * dayMs);
  assert.equal(Math.round(early.ageSeconds! / 86_400), 6, 'a reading in the future is of a wrong clock');

  // What stands in no index is nobody's to read.
  await world.repository.store.write('data', hash('sha256', 'orphan'), [Buffer.from('orphan')]);
  assert.equal((await oldestUnverified(world.repository, nowMs)).packs, 2);
});

test('with a turn of a rotation a check reads what is due and no more', async (t) => {
  const world = await twoFiles(t);
  await world.save({ threads: 1 });
  const repository = await fresh(world);
  const read = { kind: 'turn', periodMs: 10_000, everyMs: 1_000 } as const;
  const nowMs = Date.now() + 2_000;
  const first = await check({ repository, read, threads: 1, nowMs: () => nowMs });
  const { read: count, bytesRead, bytes } = first.packs;
  assert.ok(count < first.packs.count && bytesRead >= bytes / 11, `${count} packs, ${bytesRead} of ${bytes} bytes`);
  const late = await check({ repository, read, threads: 1, nowMs: () => nowMs + 60_000 });
  assert.equal(late.packs.read, late.packs.count, 'all are overdue');
});
