import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createBlobTable, noSlot } from '../../../activities/backup/repository/blob-table.ts';
import { eventually } from '../../support/eventually.ts';
import type { Race } from './support/racer.ts';

const threads = 4;
// A prime, so that every step through the ids comes by all of them.
const count = 99_991;

test(
  'of several threads that claim the same blobs while the table grows, exactly one gets each',
  { timeout: 120_000 },
  async () => {
    const table = createBlobTable();
    const ids = new SharedArrayBuffer(count * 32);
    new Uint8Array(ids).set(randomBytes(count * 32));
    const gate = new SharedArrayBuffer(8);
    const signs = new Int32Array(gate);
    const results = Array.from({ length: threads }, async (_, thread) => {
      const workerData: Race = { handle: table.describe(), ids, gate, thread };
      const worker = new Worker(new URL('support/racer.ts', import.meta.url), { workerData });
      const [won] = (await once(worker, 'message')) as [number[]];
      return won;
    });
    await eventually('all threads are ready', () => Atomics.load(signs, 0) === threads);
    Atomics.store(signs, 1, 1);
    Atomics.notify(signs, 1);

    const won = await Promise.all(results);
    const owner = new Map(won.flatMap((indexes, thread) => indexes.map((index) => [index, thread] as const)));
    assert.equal(
      owner.size,
      won.reduce((sum, indexes) => sum + indexes.length, 0),
      'a blob was won twice',
    );
    // Only what the first thread gave up after all others had come by is nobody's.
    for (let index = 0; index < count; index += 1) assert.ok(owner.has(index) || index % 10 === 0, `blob ${index}`);
    assert.equal(table.blobCount, owner.size);
    const all = new Uint8Array(ids);
    for (const [index, thread] of owner) {
      const slot = table.find('data', all, index * 32);
      assert.notEqual(slot, noSlot);
      assert.deepEqual(table.location(slot), { pack: thread, offset: index, length: slot, uncompressedLength: 0 });
    }
    assert.ok(won.filter((indexes) => indexes.length > 0).length > 1, 'no race took place');
  },
);
