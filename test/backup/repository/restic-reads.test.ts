import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { rotateKey } from '../../../activities/backup/repository/rotate-key.ts';
import { addKey, listKeys, removeKey } from '../../../activities/backup/repository/keys.ts';
import { openRepository } from '../../../activities/backup/repository/repository.ts';
import { cheap, directoryAddress, initCheaply, writeSnapshot, type Files } from './support/repositories.ts';
import { restic, scratch, skipWithoutRestic, tryRestic } from './support/restic.ts';

const options = { skip: skipWithoutRestic, timeout: 120_000 };

const files: Files = {
  empty: new Uint8Array(),
  'hello.txt': Buffer.from('hello\n'),
  'noise.bin': randomBytes(300_000),
  'zeros.bin': Buffer.alloc(2_000_000),
  'folder/again.txt': Buffer.from('hello\n'),
  'folder/deep/er/ünïcödé \u{1f600} "quoted" back\\slash': Buffer.from('text '.repeat(10_000)),
};

async function filesBelow(root: string): Promise<Files> {
  const found: Files = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found[path.slice(root.length + 1)] = await readFile(path);
  }
  return found;
}

test('restic checks every byte of what we wrote, and restores it', options, async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  const repository = await initCheaply(path);
  const snapshot = await writeSnapshot(repository, files, { tags: ['from-memory'] });

  assert.match(await restic(path, ['check', '--read-data']), /no errors were found/);
  const listed = JSON.parse(await restic(path, ['snapshots', '--json'])) as { id: string; tags: string[] }[];
  assert.deepEqual(
    listed.map(({ id, tags }) => ({ id, tags })),
    [{ id: snapshot.id, tags: ['from-memory'] }],
  );
  const target = join(at.path, 'restored');
  await restic(path, ['restore', snapshot.id, '--target', target, '--verify']);
  const restored = await filesBelow(target);
  assert.deepEqual(Object.keys(restored).toSorted(), Object.keys(files).toSorted());
  for (const [name, bytes] of Object.entries(files))
    assert.ok(Buffer.from(bytes).equals(restored[name] as Uint8Array), name);
});

test('restic backs up into our repository, prunes it, and leaves it whole', options, async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  const repository = await initCheaply(path);
  await writeSnapshot(repository, files, { time: '2020-01-01T00:00:00Z' });
  const source = join(at.path, 'source');
  await mkdir(source);
  // The same bytes, and some new ones: what both hold stays, what only ours holds goes.
  await writeFile(join(source, 'noise.bin'), files['noise.bin'] as Uint8Array);
  await writeFile(join(source, 'new.bin'), randomBytes(500_000));
  await restic(path, ['backup', source]);
  await restic(path, ['forget', '--prune', '--group-by', '', '--keep-last', '1']);
  assert.match(await restic(path, ['check', '--read-data']), /no errors were found/);
  const target = join(at.path, 'restored');
  await restic(path, ['restore', 'latest', '--target', target]);
  assert.deepEqual(await filesBelow(join(target, source)), await filesBelow(source));
});

test('a key that restic adds opens the repository, and one that we add opens it for restic', options, async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  const repository = await initCheaply(path);
  await writeFile(join(at.path, 'theirs'), 'their password\n');
  await restic(path, ['key', 'add', '--new-password-file', join(at.path, 'theirs')]);
  const theirs = await openRepository({ address: directoryAddress(path), password: 'their password' });
  assert.deepEqual(theirs.config, repository.config);
  assert.notEqual(theirs.keyName, repository.keyName);

  const { masterKey } = repository.describe();
  const ours = await addKey(repository.store, { masterKey, password: 'our password', scrypt: cheap });
  assert.match(await restic(path, ['key', 'list'], { password: 'our password' }), new RegExp(`\\*${ours.slice(0, 8)}`));
  assert.equal((await listKeys(repository.store)).length, 3);

  await removeKey(repository.store, { name: ours, masterKey }, theirs.keyName.slice(0, 12));
  assert.notEqual((await tryRestic(path, ['cat', 'config'], { password: 'their password' })).code, 0);
  await rotateKey(repository.store, { name: ours, masterKey }, { password: 'another', scrypt: cheap });
  assert.notEqual((await tryRestic(path, ['cat', 'config'], { password: 'our password' })).code, 0);
  assert.equal((await tryRestic(path, ['cat', 'config'], { password: 'another' })).code, 0);
});
