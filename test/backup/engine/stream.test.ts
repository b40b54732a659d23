import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { restore } from '../../../activities/backup/engine/restore.ts';
import { saveStream, type SaveStreamOptions } from '../../../activities/backup/engine/save-stream.ts';
import type { StreamEntry } from '../../../activities/backup/engine/stream-entry.ts';
import { listSnapshots } from '../../../activities/backup/repository/snapshot.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { createWorld, fresh, noise, type World } from './world.ts';

const time = '2026-01-02T03:04:05.123456789Z';

function entry(at: string, content: Uint8Array, more: Partial<StreamEntry> = {}): StreamEntry {
  const name = at.slice(at.lastIndexOf('/') + 1);
  return {
    path: at,
    node: { name, type: 'file', mode: 0o600, mtime: time, atime: time, ctime: time, uid: 0, gid: 0 },
    open: () => inPieces(content),
    ...more,
  };
}

/** As a socket would bring it: in pieces of no size in particular. */
async function* inPieces(content: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0, size = 1; at < content.length; at += size, size = (size * 7 + 3) % 65_521) {
    yield content.subarray(at, at + size);
  }
}

async function* each(entries: StreamEntry[]): AsyncGenerator<StreamEntry> {
  yield* entries;
}

function save(
  world: World,
  entries: StreamEntry[],
  more: Partial<SaveStreamOptions> = {},
): ReturnType<typeof saveStream> {
  const { repository } = world;
  return saveStream({ repository, entries: each(entries), paths: ['/stream'], parent: null, threads: 2, ...more });
}

test('entries in any order become one tree, cut by content or by pages', async (t) => {
  const world = await createWorld(t);
  const [pages, text] = [noise(3 * 2 ** 20 + 100, 5), noise(9 * 2 ** 20, 6)];
  const result = await save(world, [
    entry('/base/1/pages', pages, { cut: { kind: 'fixed', bytes: 131_072 } }),
    entry('/empty', new Uint8Array()),
    entry('/base/2/text', text),
    { path: '/base', node: { ...entry('/base', text).node, type: 'dir', mode: 2 ** 31 + 0o750 } },
    entry('/base/1/later', Buffer.from('later')),
  ]);
  assert.equal(result.kind, 'complete');
  assert.equal(result.counts.bytesDone, pages.length + text.length + 5);
  const target = path.join(world.dir, 'restored');
  const restored = await restore({ repository: await fresh(world), snapshot: result.snapshot, target, threads: 2 });
  assert.deepEqual(restored.problems, []);
  assert.deepEqual(readFileSync(path.join(target, 'base/1/pages')), pages);
  assert.deepEqual(readFileSync(path.join(target, 'base/2/text')), text);
  assert.equal(readFileSync(path.join(target, 'base/1/later'), 'utf8'), 'later');
  assert.equal(statSync(path.join(target, 'empty')).size, 0);
  assert.equal(statSync(path.join(target, 'base')).mode & 0o777, 0o750);
});

test('a changed page of a file costs that page and no other', async (t) => {
  const world = await createWorld(t);
  const cut = { kind: 'fixed', bytes: 131_072 } as const;
  const pages = noise(4 * 2 ** 20);
  await save(world, [entry('/file', pages, { cut })]);
  pages[1_000_000]! ^= 1;
  const second = await save(world, [entry('/file', pages, { cut })]);
  assert.equal(second.added.data.blobs, 1);
});

test('what the source knows to be the same is not opened', async (t) => {
  const world = await createWorld(t);
  const first = await save(world, [entry('/a/one', noise(5_000)), entry('/two', noise(6_000, 2))]);
  const closed = (): AsyncIterable<Uint8Array> => assert.fail('it was opened');
  const same = { sameAs: () => true, open: closed };
  const entries = [entry('/a/one', noise(1), same), entry('/two', noise(1), same)];
  const second = await save(world, entries, { parent: first.snapshot });
  assert.equal(second.snapshot.tree, first.snapshot.tree);
  assert.deepEqual([second.counts.filesUnmodified, second.counts.bytesDone], [2, 11_000]);
});

async function* breaksOff(): AsyncGenerator<Uint8Array> {
  yield noise(100_000);
  throw new MusterError('OBJECT_STORE_UNREACHABLE', 'the connection ended');
}

test('a body that breaks off leaves no snapshot, and its error names the entry', async (t) => {
  const world = await createWorld(t);
  const broken = entry('/dir/broken', noise(1), { open: breaksOff });
  await assert.rejects(save(world, [entry('/fine', noise(10)), broken]), {
    code: 'OBJECT_STORE_UNREACHABLE',
    message: '/dir/broken: the connection ended',
  });
  assert.deepEqual((await listSnapshots(world.repository)).snapshots, []);
});

test('the last word of the source can refuse the whole backup', async (t) => {
  const world = await createWorld(t);
  const confirm = (): never => {
    throw new MusterError('CHECKSUM_MISMATCH', 'the manifest names another hash');
  };
  await assert.rejects(save(world, [entry('/file', noise(10))], { confirm }), { code: 'CHECKSUM_MISMATCH' });
  assert.deepEqual((await listSnapshots(world.repository)).snapshots, []);
});

for (const bad of ['relative', '/a//b', '/a/../b', '/', '/a/']) {
  test(`the path "${bad}" is refused`, async (t) => {
    const world = await createWorld(t);
    await assert.rejects(save(world, [entry(bad, noise(1))]), { code: 'INTERNAL' });
  });
}
