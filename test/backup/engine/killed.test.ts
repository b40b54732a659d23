/** kill -9 at many moments: each next backup goes on, nothing is stored twice, nothing is called a snapshot early. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { check } from '../../../activities/backup/engine/check.ts';
import { restore } from '../../../activities/backup/engine/restore.ts';
import { createBlobTable } from '../../../activities/backup/repository/blob-table.ts';
import { loadIndex } from '../../../activities/backup/repository/index-load.ts';
import { listSnapshots } from '../../../activities/backup/repository/snapshot.ts';
import { restic, skipWithoutRestic } from '../repository/support/restic.ts';
import { repeated } from '../../support/long.ts';
import { createWorld, fresh, noise, type World } from './world.ts';

const mib = 2 ** 20;
const program = path.join(import.meta.dirname, 'support', 'backup-process.ts');
const kills = repeated(3, 20);

function fillSource(world: World): number {
  let bytes = 0;
  const put = (name: string, size: number, seed: number): void => {
    writeFileSync(world.at(name), noise(size, seed));
    bytes += size;
  };
  for (let d = 0; d < 4; d++) {
    mkdirSync(world.at(`directory ${d}`));
    for (let i = 0; i < 40; i++) put(path.join(`directory ${d}`, `small ${i}`), 20_000 + 997 * i, 1_000 * d + i + 1);
    put(path.join(`directory ${d}`, 'large'), 24 * mib, 7_000 + d);
  }
  return bytes;
}

/** Runs a backup and kills it so long after it has begun; null: lets it end. @returns what it said at its end */
async function run(world: World, killAfterMs: number | null): Promise<string | null> {
  const child = spawn(process.execPath, [program, path.join(world.dir, 'repo'), world.source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  let said = '';
  const begun = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      resolve();
    });
  });
  await Promise.race([begun, ended]);
  if (killAfterMs !== null) {
    await Promise.race([sleepFor(killAfterMs), ended]);
    child.kill('SIGKILL');
  }
  await ended;
  return said.split('\n')[1] || null;
}

test(
  `a backup that is killed ${kills} times goes on each time, stores nothing twice and is whole for restic`,
  { timeout: 170_000, skip: skipWithoutRestic },
  async (t) => {
    const world = await createWorld(t);
    const bytes = fillSource(world);
    // Moments by a fixed seed; where the machine is quicker or slower they fall elsewhere, which is as good.
    const moments = new Uint32Array(noise(4 * kills, 20_260_101).buffer).subarray(0, kills);
    for (const [i, moment] of moments.entries()) {
      await run(world, (moment % 1_000) * (i % 2 === 0 ? 1 : 0.25));
      // Killed behind its snapshot, if there is one; whether that is whole is seen below.
      if ((await listSnapshots(world.repository)).snapshots.length > 0) break;
    }
    const { kind } = JSON.parse((await run(world, null)) ?? '{}') as { kind?: string };
    assert.equal(kind, 'complete');

    const repository = await fresh(world);
    const { duplicates } = await loadIndex(repository, createBlobTable());
    assert.deepEqual(duplicates, [], 'no blob lies in two packs');
    const checked = await check({ repository, read: { kind: 'all' }, threads: 2 });
    assert.deepEqual([checked.kind, checked.problems], ['intact', []], 'no pack stands in no index');
    assert.ok(checked.packs.bytes < bytes * 1.02, `${checked.packs.bytes} bytes for ${bytes}`);
    assert.match(await restic(path.join(world.dir, 'repo'), ['check', '--read-data']), /no errors were found/);
    const { snapshots } = await listSnapshots(repository);
    const target = path.join(world.dir, 'restored');
    const options = { repository, snapshot: snapshots.at(-1)!, target, subpath: world.source, threads: 2 };
    const restored = await restore(options);
    assert.deepEqual([restored.kind, restored.counts.bytes], ['complete', bytes]);
  },
);
