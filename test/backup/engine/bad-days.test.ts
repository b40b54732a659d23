/** Sources and clocks on bad days: what is doubtful is named, and never called complete. */
import assert from 'node:assert/strict';
import { closeSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { createWorld, noise } from './world.ts';

const gibibyte = 2 ** 30;

test('a file that gets shorter while it is read makes the snapshot partial, by name', async (t) => {
  const world = await createWorld(t);
  writeFileSync(world.at('calm'), 'calm');
  closeSync(openSync(world.at('shrinks'), 'w'));
  truncateSync(world.at('shrinks'), 4 * gibibyte);
  let cut = false;
  const result = await world.save({
    threads: 1,
    onProgress({ bytesDone }) {
      if (cut || bytesDone < 2 ** 20) return;
      cut = true;
      truncateSync(world.at('shrinks'), gibibyte / 2);
    },
  });
  assert.equal(result.kind, 'partial');
  assert.deepEqual(
    result.problems.map(({ kind, path }) => [kind, path]),
    [['changed', world.at('shrinks')]],
  );
});

test('a snapshot from the future, of a clock that was wrong, is no parent and hinders nobody', async (t) => {
  const world = await createWorld(t);
  writeFileSync(world.at('file'), noise(100_000));
  const early = await world.save({ time: new Date(Date.now() + 10 * 365 * 86_400_000) });
  writeFileSync(world.at('another'), noise(50_000, 2));
  const now = await world.save();
  assert.deepEqual([now.kind, now.snapshot.parent], ['complete', undefined]);
  assert.deepEqual([now.counts.filesNew, now.added.data.blobs], [2, 1], 'read anew, stored once');
  const later = await world.save();
  assert.equal(later.snapshot.parent, now.snapshot.id);
  assert.notEqual(later.snapshot.parent, early.snapshot.id);
});

test('a clock that jumps back makes no later snapshot a parent, and the next one reads every file', async (t) => {
  const world = await createWorld(t);
  writeFileSync(world.at('file'), noise(100_000));
  await world.save();
  const back = await world.save({ time: new Date(Date.now() - 86_400_000) });
  assert.deepEqual([back.kind, back.snapshot.parent, back.counts.filesNew], ['complete', undefined, 1]);
  assert.equal(back.added.data.blobs, 0);
});
