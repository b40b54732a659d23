import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Repository } from '../../../activities/backup/repository/attach.ts';
import { createBlobTable } from '../../../activities/backup/repository/blob-table.ts';
import { loadIndex } from '../../../activities/backup/repository/index-load.ts';
import { readPackHeader } from '../../../activities/backup/repository/pack-header.ts';
import { readBlob, readTree } from '../../../activities/backup/repository/read-blob.ts';
import { openRepository } from '../../../activities/backup/repository/repository.ts';
import { findSnapshot, listSnapshots } from '../../../activities/backup/repository/snapshot.ts';
import { folderOf, pathOf, type FileKind } from '../../../activities/backup/repository/store.ts';
import { directoryAddress, initCheaply, loadedTable, password, writeSnapshot } from './support/repositories.ts';
import { scratch } from './support/restic.ts';

/** Opens a repository and reads all there is: the error for the first thing that is wrong. */
async function readAll(path: string): Promise<void> {
  const repository = await openRepository({ address: directoryAddress(path), password });
  const table = await loadedTable(repository);
  const { snapshots, damaged } = await listSnapshots(repository);
  if (damaged[0] !== undefined) throw damaged[0];
  for await (const pack of repository.store.list('data')) await readPackHeader(repository.store, repository, pack);
  const slots: number[] = [];
  table.forEach((slot) => slots.push(slot));
  for (const slot of slots) await readBlob(repository, table, table.typeOf(slot), table.idOf(slot));
  for (const { tree } of snapshots) await readTree(repository, table, tree);
}

async function wholeRepository(path: string): Promise<Repository> {
  const repository = await initCheaply(path);
  await writeSnapshot(repository, {
    'a.txt': Buffer.alloc(10_000, 'text '),
    'b.bin': randomBytes(10_000),
    'd/e': Buffer.from('x'),
  });
  return repository;
}

/** Every file of a kind, by its path in the repository. */
async function filesOf(path: string, kind: FileKind): Promise<string[]> {
  if (kind === 'config') return ['config'];
  const below = await readdir(join(path, folderOf(kind)), { recursive: true, withFileTypes: true });
  return below.filter((entry) => entry.isFile()).map((entry) => pathOf(kind, entry.name));
}

async function flip(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[at] = (bytes[at] as number) ^ 0x10;
  await chmod(file, 0o600);
  await writeFile(file, bytes);
}

function isDamaged(...words: string[]): (err: unknown) => boolean {
  return (err) => {
    assert.ok(err instanceof MusterError && err.code === 'REPOSITORY_DAMAGED', String(err));
    for (const word of words) assert.ok(err.message.includes(word), `"${err.message}" does not say ${word}`);
    return true;
  };
}

for (const kind of ['config', 'key', 'index', 'snapshot', 'data'] as const) {
  test(`one flipped bit in a file of kind ${kind} is found, wherever it is, and the file is named`, async () => {
    await using at = scratch();
    const path = join(at.path, 'repository');
    await wholeRepository(path);
    await readAll(path);
    for (const file of await filesOf(path, kind)) {
      const { size } = await stat(join(path, file));
      for (const place of [0, 1, 20, size >> 1, size - 37, size - 20, size - 3, size - 1]) {
        await flip(join(path, file), place);
        await assert.rejects(readAll(path), isDamaged(file, path), `${file}, byte ${place} of ${size}`);
        await flip(join(path, file), place);
      }
    }
    await readAll(path);
  });

  test(`a file of kind ${kind} that was cut short is found and named`, async () => {
    await using at = scratch();
    const path = join(at.path, 'repository');
    await wholeRepository(path);
    for (const file of await filesOf(path, kind)) {
      const whole = await readFile(join(path, file));
      await chmod(join(path, file), 0o600);
      for (const length of [whole.length - 1, whole.length >> 1, 5, 0]) {
        await truncate(join(path, file), length);
        await assert.rejects(readAll(path), isDamaged(file), `${file} of ${length} bytes`);
        await writeFile(join(path, file), whole);
      }
    }
  });
}

test('a missing pack is named by what is read from it', async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  await wholeRepository(path);
  for (const file of await filesOf(path, 'data')) {
    const whole = await readFile(join(path, file));
    await rm(join(path, file));
    await assert.rejects(readAll(path), isDamaged(file, 'is missing'));
    await writeFile(join(path, file), whole);
  }
});

test('what stands in no index is named by its id', async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  const repository = await wholeRepository(path);
  const snapshot = await findSnapshot(repository, 'latest');
  for (const file of await filesOf(path, 'index')) await rm(join(path, file));
  await assert.rejects(readAll(path), isDamaged(snapshot.tree, 'in no index'));
});

test('the index is loaded without its damaged files where somebody listens for them', async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  const repository = await wholeRepository(path);
  const [damaged = ''] = await filesOf(path, 'index');
  await writeSnapshot(repository, { 'c.txt': Buffer.from('another') });
  await flip(join(path, damaged), 30);
  const found: MusterError[] = [];
  const table = createBlobTable();
  const index = await loadIndex(repository, table, { onDamaged: (err) => found.push(err) });
  assert.deepEqual([found.length, index.files.length, index.packs.size], [1, 1, 2]);
  isDamaged(damaged)(found[0]);
});

test("a pack under another's name gives no blob that was asked for", async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  await wholeRepository(path);
  const [first = '', second = ''] = await filesOf(path, 'data');
  const bytes = await readFile(join(path, second));
  await chmod(join(path, first), 0o600);
  await writeFile(join(path, first), bytes);
  await assert.rejects(readAll(path), isDamaged(first));
});
