import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { failedWrite } from '../../../activities/backup/repository/durable-write.ts';
import { openDirectoryStore } from '../../../activities/backup/repository/directory-store.ts';
import { pathOf } from '../../../activities/backup/repository/store.ts';
import { initCheaply } from './support/repositories.ts';
import { restic, scratch, skipWithoutRestic } from './support/restic.ts';
import { describeRepositoryStore } from './support/store-conformance.ts';

const content = Buffer.from('content');
const name = createHash('sha256').update(content).digest('hex');

describeRepositoryStore('a directory', async () => {
  const at = scratch();
  const path = join(at.path, 'repository');
  const again = () => openDirectoryStore(path);
  return { store: await again(), again, [Symbol.asyncDispose]: () => at[Symbol.asyncDispose]() };
});

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

test('files and folders have the modes that restic gives them', { skip: skipWithoutRestic }, async () => {
  await using at = scratch();
  const [ours, theirs] = [join(at.path, 'ours'), join(at.path, 'theirs')];
  await initCheaply(ours);
  await restic(theirs, ['init']);
  for (const path of ['', 'config', 'keys']) {
    assert.equal(await modeOf(join(ours, path)), await modeOf(join(theirs, path)), path);
  }
  const [key] = await readdir(join(ours, 'keys'));
  const [their] = await readdir(join(theirs, 'keys'));
  assert.equal(await modeOf(join(ours, 'keys', key as string)), await modeOf(join(theirs, 'keys', their as string)));
});

test('a group that may read the config may read what is written after it', async () => {
  await using at = scratch();
  await writeFile(join(at.path, 'config'), 'sealed');
  await chmod(join(at.path, 'config'), 0o440);
  await (await openDirectoryStore(at.path)).write('data', name, [content]);
  assert.equal(await modeOf(join(at.path, pathOf('data', name))), '440');
  assert.equal(await modeOf(join(at.path, 'data')), '750');
});

test('what killed writers leave is neither listed nor read, and goes when it is old', async () => {
  await using at = scratch();
  const store = await openDirectoryStore(at.path);
  await store.write('data', name, [content]);
  const folder = join(at.path, 'data', name.slice(0, 2));
  const leftovers = [`${name}-tmp-1a2b3c4d5e`, `${name}-tmp-123456789`];
  for (const leftover of leftovers) await writeFile(join(folder, leftover), 'half a pa');
  await writeFile(join(folder, 'notes-tmp-1.txt'), 'not ours');
  await utimes(join(folder, leftovers[0] as string), 1, 1);
  const listed: string[] = [];
  for await (const file of store.list('data')) listed.push(file.name);
  assert.deepEqual(listed, [name]);
  assert.equal(await store.removeLeftovers(3_600_000), 1);
  assert.deepEqual(new Set(await readdir(folder)), new Set([name, leftovers[1], 'notes-tmp-1.txt']));
  assert.equal(await store.removeLeftovers(0), 1);
  assert.deepEqual(new Set(await readdir(folder)), new Set([name, 'notes-tmp-1.txt']));
});

test('files and folders that are none of a repository are passed over', async () => {
  await using at = scratch();
  const store = await openDirectoryStore(at.path);
  await mkdir(join(at.path, 'data', 'lost+found'), { recursive: true });
  await mkdir(join(at.path, 'data', name.slice(0, 2), name), { recursive: true });
  await writeFile(join(at.path, 'data', 'README'), 'hello');
  for await (const file of store.list('data')) assert.fail(`listed ${file.name}`);
});

const failures = [
  { errno: 'ENOSPC', code: 'TARGET_FULL' },
  { errno: 'EDQUOT', code: 'TARGET_FULL' },
  { errno: 'EROFS', code: 'CREDENTIALS_REFUSED' },
  { errno: 'EIO', code: 'OBJECT_STORE_UNREACHABLE' },
];
for (const { errno, code } of failures) {
  test(`a write that fails with ${errno} is ${code}`, () => {
    const err = failedWrite('data/aa/file', Object.assign(new Error('no'), { code: errno }));
    assert.deepEqual([err.code, err.message.includes('data/aa/file')], [code, true]);
  });
}

test('a disk that fails is named, and the hint speaks of disks', () => {
  const err = failedWrite('data/aa/file', Object.assign(new Error('no'), { code: 'EIO' }));
  assert.equal(err.message, 'data/aa/file cannot be written (its disk fails, EIO)');
  assert.match(err.hint, /disk/);
});

test('after kill -9 every file that is listed is whole, and every one that was promised is listed', async () => {
  await using at = scratch();
  for (let run = 0; run < 3; run += 1) {
    const script = new URL('support/endless-writer.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [script, at.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) {
      printed += String(chunk);
      if (printed.split('\n').length > 3 + run) child.kill('SIGKILL');
    }
    const store = await openDirectoryStore(at.path);
    const listed = new Set<string>();
    for await (const file of store.list('data')) {
      const bytes = await store.read('data', file.name);
      assert.equal(
        createHash('sha256')
          .update(bytes ?? '')
          .digest('hex'),
        file.name,
      );
      listed.add(file.name);
    }
    for (const promised of printed.split('\n').slice(0, -1)) assert.ok(listed.has(promised), promised);
    await store.removeLeftovers(0);
    const names = (await readdir(join(at.path, 'data'), { recursive: true })).map((path) => basename(path));
    assert.deepEqual(
      names.filter((found) => found.length > 2 && !listed.has(found)),
      [],
    );
  }
});

test('a full file system is TARGET_FULL, and nothing is left of the file', async (t) => {
  await using at = scratch();
  const small = join(at.path, 'small');
  await mkdir(small);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'muster-test', small], { stdio: 'ignore' });
  if (mounted.status !== 0) {
    t.skip('a small file system cannot be mounted here');
    return;
  }
  try {
    const store = await openDirectoryStore(small);
    const large = [Buffer.alloc(800_000, 1), Buffer.alloc(800_000, 2)];
    await assert.rejects(store.write('data', name, large), (err) => {
      assert.ok(err instanceof MusterError && err.code === 'TARGET_FULL', String(err));
      return true;
    });
    assert.deepEqual(await readdir(join(small, 'data', name.slice(0, 2))), []);
    await store.write('data', name, [content]);
  } finally {
    spawnSync('umount', [small]);
  }
});
