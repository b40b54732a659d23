import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { check } from '../../../activities/backup/engine/check.ts';
import { listSnapshots } from '../../../activities/backup/repository/snapshot.ts';
import { createWorld, fresh, noise, type World } from './world.ts';

const gibibyte = 2 ** 30;

/** A file that takes a while to read and no room: one hole. */
function hole(world: World, name: string, bytes: number): void {
  closeSync(openSync(world.at(name), 'w'));
  truncateSync(world.at(name), bytes);
}

test('the bytes of a large file are told of while it is read, and are right at the end', async (t) => {
  const world = await createWorld(t);
  hole(world, 'large', gibibyte);
  writeFileSync(world.at('small'), 'small');
  const told: number[] = [];
  const { counts } = await world.save({ threads: 1, onProgress: ({ bytesDone }) => told.push(bytesDone) });
  assert.equal(counts.bytesDone, gibibyte + 5);
  assert.equal(told.at(-1), counts.bytesDone);
  assert.ok(
    told.some((bytes) => bytes > 2 ** 20 && bytes < gibibyte),
    `told of ${told.join(', ')} bytes`,
  );
});

test('bytes of a file that fails in the midst are taken back', async (t) => {
  const world = await createWorld(t);
  writeFileSync(world.at('small'), 'small');
  const last = { bytesDone: -1 };
  // The memory of a process cannot be read from its beginning, not even by root.
  const paths = [world.source, `/proc/${process.pid}/mem`];
  const result = await world.save({
    paths,
    xattrs: false,
    onProgress: ({ bytesDone }) => (last.bytesDone = bytesDone),
  });
  assert.deepEqual([result.kind, last.bytesDone], ['partial', 5]);
});

test('an abort in the midst of a large file is heeded there, and what was stored is indexed', async (t) => {
  const world = await createWorld(t);
  writeFileSync(world.at('a noise'), noise(40 * 2 ** 20));
  hole(world, 'large', 64 * gibibyte);
  const stop = new AbortController();
  let [whenStopped, atEnd] = [0, 0];
  const saving = world.save({
    threads: 1,
    signal: stop.signal,
    onProgress({ bytesDone }) {
      atEnd = bytesDone;
      if (bytesDone < 41 * 2 ** 20 || stop.signal.aborted) return;
      whenStopped = bytesDone;
      stop.abort(new Error('enough'));
    },
  });
  await assert.rejects(saving, { message: 'enough' });
  assert.ok(whenStopped > 0 && atEnd < whenStopped + gibibyte, `${atEnd} bytes, of them ${whenStopped} before`);
  assert.deepEqual((await listSnapshots(world.repository)).snapshots, []);
  const { kind, problems, packs } = await check({ repository: await fresh(world), read: { kind: 'all' }, threads: 1 });
  assert.deepEqual([kind, problems, packs.count], ['intact', [], 2]);
  const left = readdirSync(path.join(world.dir, 'repo', 'data'), { recursive: true });
  assert.deepEqual(
    left.map(String).filter((name) => name.includes('-tmp-')),
    [],
  );
});
