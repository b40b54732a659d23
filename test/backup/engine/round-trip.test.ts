import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { restore } from '../../../activities/backup/engine/restore.ts';
import { openTrees, type Trees } from '../../../activities/backup/engine/trees.ts';
import { nodeAt } from '../../../activities/backup/engine/walk-snapshot.ts';
import { createBlobTable } from '../../../activities/backup/repository/blob-table.ts';
import { loadIndex } from '../../../activities/backup/repository/index-load.ts';
import { createWorld, fresh, makeOddTree, noise, type World } from './world.ts';

interface Seen {
  mtimeMs: number;
  rest: unknown;
}

/** Everything that a person would miss, by path in bytes. */
function picture(directory: Buffer, into = new Map<string, Seen>(), under = Buffer.alloc(0)): Map<string, Seen> {
  for (const name of readdirSync(directory, { encoding: 'buffer' })) {
    const at = Buffer.concat([directory, Buffer.from('/'), name]);
    const key = Buffer.concat([under, Buffer.from('/'), name]);
    const stats = lstatSync(at);
    into.set(key.toString('latin1'), {
      mtimeMs: stats.mtimeMs,
      rest: {
        ...{ mode: stats.mode, uid: stats.uid, gid: stats.gid, links: stats.isDirectory() ? 0 : stats.nlink },
        content: stats.isFile() ? hash('sha256', readFileSync(at)) : stats.isSymbolicLink() ? readlinkSync(at) : null,
      },
    });
    if (stats.isDirectory()) picture(at, into, key);
  }
  return into;
}

/** Times are restored as exactly as a double can say them. */
function assertSameTree(actual: string, expected: string): void {
  const [a, b] = [picture(Buffer.from(actual)), picture(Buffer.from(expected))];
  assert.deepEqual([...a.keys()].toSorted(), [...b.keys()].toSorted());
  for (const [name, { mtimeMs, rest }] of b) {
    assert.deepEqual(a.get(name)!.rest, rest, name);
    assert.ok(Math.abs(a.get(name)!.mtimeMs - mtimeMs) < 0.002, `${name}: ${a.get(name)!.mtimeMs}, not ${mtimeMs}`);
  }
}

test('a restored tree is the one that was saved, whatever it holds', async (t) => {
  const world = await createWorld(t);
  makeOddTree(world);
  const saved = await world.save();
  assert.equal(saved.kind, 'complete', JSON.stringify(saved.problems));
  const target = path.join(world.dir, 'restored');
  const repository = await fresh(world);
  const result = await restore({ repository, snapshot: saved.snapshot, target, subpath: world.source, threads: 2 });
  assert.deepEqual(result.problems, []);
  assertSameTree(target, world.source);
});

test('with sparse, zeros become holes', async (t) => {
  const world = await createWorld(t);
  makeOddTree(world);
  const { snapshot } = await world.save();
  const target = path.join(world.dir, 'restored');
  await restore({ repository: await fresh(world), snapshot, target, subpath: world.source, threads: 2, sparse: true });
  const stats = lstatSync(path.join(target, 'holes'));
  assert.equal(stats.size, 12 * 2 ** 20);
  assert.ok(stats.blocks * 512 < 9 * 2 ** 20, `${stats.blocks} blocks`);
  assert.deepEqual(readFileSync(path.join(target, 'holes')), readFileSync(world.at('holes')));
});

test('a second backup of the same writes nothing and names the same tree', async (t) => {
  const world = await createWorld(t);
  makeOddTree(world);
  const first = await world.save();
  const second = await world.save();
  const trees = await treesOf(world);
  const before = await nodeAt(trees, first.snapshot.tree, world.source);
  const after = await nodeAt(trees, second.snapshot.tree, world.source);
  assert.equal(after?.subtree, before?.subtree);
  assert.equal(second.snapshot.parent, first.snapshot.id);
  assert.equal(second.added.data.blobs, 0);
  // The way to the source is saved, too, and others make files in the directory that all tests share.
  assert.ok(second.added.trees.blobs <= 1);
  assert.equal(second.counts.filesUnmodified, first.counts.filesNew);
});

test('one byte put into a large file costs a few pieces, not the file', async (t) => {
  const world = await createWorld(t);
  const content = noise(24 * 2 ** 20);
  writeFileSync(world.at('file'), content);
  await world.save();
  writeFileSync(
    world.at('file'),
    Buffer.concat([content.subarray(0, 1_000_000), Buffer.from('!'), content.subarray(1_000_000)]),
  );
  const second = await world.save();
  assert.equal(second.counts.filesChanged, 1);
  assert.ok(second.added.data.blobs <= 3, `${second.added.data.blobs} new pieces`);
});

test('the same content under many names is stored once, whichever thread comes first', async (t) => {
  const world = await createWorld(t);
  for (let i = 0; i < 300; i++) writeFileSync(world.at(`copy ${i}`), noise(100_000));
  const { added, counts } = await world.save({ threads: 4 });
  assert.equal(counts.filesNew, 300);
  assert.equal(added.data.blobs, 1);
});

test('an interrupted restore goes on where it was', async (t) => {
  const world = await createWorld(t);
  for (let i = 0; i < 20; i++) writeFileSync(world.at(`file ${i}`), noise(10_000, i + 1));
  const { snapshot } = await world.save();
  const target = path.join(world.dir, 'restored');
  const options = { snapshot, target, subpath: world.source, threads: 1, overwrite: 'if-changed' } as const;
  await restore({ repository: await fresh(world), ...options });
  rmSync(path.join(target, 'file 7'));
  writeFileSync(path.join(target, 'file 8'), 'half');
  const again = await restore({ repository: await fresh(world), ...options });
  assert.deepEqual([again.counts.files, again.counts.skipped], [2, 18]);
  assertSameTree(target, world.source);
});

test('what is restored replaces links instead of following them', async (t) => {
  const world = await createWorld(t);
  mkdirSync(world.at('inside'));
  writeFileSync(world.at('inside', 'file'), 'from the snapshot');
  const { snapshot } = await world.save();
  const target = path.join(world.dir, 'restored');
  const elsewhere = path.join(world.dir, 'elsewhere');
  mkdirSync(target);
  mkdirSync(elsewhere);
  writeFileSync(path.join(elsewhere, 'file'), 'must stay');
  symlinkSync(elsewhere, path.join(target, 'inside'));
  const result = await restore({ repository: await fresh(world), snapshot, target, subpath: world.source, threads: 1 });
  assert.equal(result.kind, 'complete');
  assert.equal(readFileSync(path.join(elsewhere, 'file'), 'utf8'), 'must stay');
  assert.equal(readFileSync(path.join(target, 'inside', 'file'), 'utf8'), 'from the snapshot');
});

test('a source that is reached through links is saved where it really lies; a link that is named itself stays one', async (t) => {
  const world = await createWorld(t);
  mkdirSync(world.at('real', 'inner'), { recursive: true });
  writeFileSync(world.at('real', 'inner', 'file'), 'behind two links');
  symlinkSync('real', world.at('first'));
  symlinkSync(world.at('first'), path.join(world.dir, 'second'));
  const through = path.join(world.dir, 'second', 'inner', 'file');
  const { snapshot, counts } = await world.save({ paths: [through, world.at('first')] });
  assert.deepEqual(snapshot.paths, [world.at('first'), world.at('real', 'inner', 'file')]);
  assert.deepEqual([counts.filesNew, counts.others], [1, 1]);
  const target = path.join(world.dir, 'restored');
  await restore({ repository: await fresh(world), snapshot, target, subpath: world.source, threads: 1 });
  assert.equal(readFileSync(path.join(target, 'real', 'inner', 'file'), 'utf8'), 'behind two links');
  assert.equal(readlinkSync(path.join(target, 'first')), 'real');
});

async function treesOf(world: World): Promise<Trees> {
  const repository = await fresh(world);
  const table = createBlobTable();
  await loadIndex(repository, table);
  return openTrees(repository, table);
}
