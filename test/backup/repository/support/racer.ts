import { parentPort, workerData } from 'node:worker_threads';
import { attachBlobTable, noSlot, type BlobTableHandle } from '../../../../activities/backup/repository/blob-table.ts';

/** One of several threads that claim the same ids at the same time, each in an order of its own. */
export interface Race {
  readonly handle: BlobTableHandle;
  readonly ids: SharedArrayBuffer;
  /** Two words: how many are ready, and whether to begin. */
  readonly gate: SharedArrayBuffer;
  readonly thread: number;
}

const { handle, ids, gate, thread } = workerData as Race;
const table = attachBlobTable(handle);
const all = new Uint8Array(ids);
const count = all.length / 32;
const begin = new Int32Array(gate);
Atomics.add(begin, 0, 1);
Atomics.wait(begin, 1, 0);

const won: number[] = [];
// A step without a common divisor with the count comes by all of them.
const step = [1, count - 1, 7919, 104_729][thread % 4] as number;
for (let i = 0, at = thread * 17; i < count; i += 1, at += step) {
  const index = at % count;
  const slot = table.claim('data', all, index * 32);
  if (slot === noSlot) {
    if (table.find('data', all, index * 32) === noSlot) throw new Error(`blob ${index} is neither ours nor there`);
    continue;
  }
  // Some claims are given up at once, and somebody else takes them.
  if (index % 10 === 0 && thread === 0) table.release(slot);
  else {
    table.store(slot, { pack: thread, offset: index, length: slot, uncompressedLength: 0 });
    won.push(index);
  }
  if (index % 1000 === 0) table.addPack(all.subarray(index * 32, index * 32 + 32));
}
parentPort?.postMessage(won);
