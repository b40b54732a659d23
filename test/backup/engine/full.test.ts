/** A repository on a disk that gets full. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { backup } from '../../../activities/backup/engine/backup.ts';
import { check } from '../../../activities/backup/engine/check.ts';
import { createBlobTable } from '../../../activities/backup/repository/blob-table.ts';
import { loadIndex } from '../../../activities/backup/repository/index-load.ts';
import { listSnapshots } from '../../../activities/backup/repository/snapshot.ts';
import { initCheaply, reopen } from '../repository/support/repositories.ts';
import { createWorld, noise } from './world.ts';

const mib = 2 ** 20;

/** A file system of so many MiB; null where this user may not make one. */
function mountSmall(t: TestContext, sizeMiB: number): { at: string; resize: (sizeMiB: number) => void } | null {
  const at = mkdtempSync(path.join(tmpdir(), 'muster-small-'));
  t.after(() => {
    spawnSync('umount', ['-l', at], { stdio: 'ignore' });
    rmSync(at, { recursive: true, force: true });
  });
  const mount = (...options: string[]): boolean =>
    spawnSync('mount', [...options, 'muster-test', at], { stdio: 'ignore' }).status === 0;
  if (!mount('-t', 'tmpfs', '-o', `size=${sizeMiB}m`)) return null;
  return { at, resize: (size) => assert.ok(mount('-o', `remount,size=${size}m`)) };
}

test('a full disk is TARGET_FULL, leaves no snapshot, and with more room the next backup goes on', async (t) => {
  const world = await createWorld(t);
  // Room for what two threads write at once, four packs, so that at least one of them becomes whole.
  const disk = mountSmall(t, 84);
  if (disk === null) return t.skip('a small file system cannot be mounted here');
  for (let i = 0; i < 6; i++) writeFileSync(world.at(`file ${i}`), noise(16 * mib, i + 1));
  const repository = await initCheaply(path.join(disk.at, 'repo'));
  const save = () => backup({ repository, paths: [world.source], threads: 2, host: 'test' });
  await assert.rejects(save(), (err: Error & { code?: string; hint?: string }) => {
    assert.equal(err.code, 'TARGET_FULL', String(err));
    assert.match(String(err.hint), /Free space .* what was written is kept/);
    return true;
  });
  assert.deepEqual((await listSnapshots(repository)).snapshots, []);

  disk.resize(200);
  const second = await save();
  assert.equal(second.kind, 'complete');
  assert.ok(second.added.data.bytes < 96 * mib, 'what was written is not written again');
  const { duplicates } = await loadIndex(repository, createBlobTable());
  const checked = await check({ repository: await reopen(repository), read: { kind: 'all' }, threads: 1 });
  assert.deepEqual([duplicates, checked.kind, checked.problems], [[], 'intact', []]);
  await repository.close();
});
