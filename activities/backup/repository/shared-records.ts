import { pageBytes, type SharedMemory } from './shared-memory.ts';

/** Records of a fixed number of 32-bit words, numbered from 0, in shared memory. */
export interface SharedRecords {
  /** Records handed out so far; the newest may still be empty. */
  count(): number;
  /** A new record, all zero. @returns its number */
  reserve(): number;
  /** The array that a record's words lie in, from `begin(record)` on. */
  view(record: number): Int32Array;
  begin(record: number): number;
}

export interface RecordLayout {
  readonly words: number;
  /** Control words: how many records, how many chunks, and the first of the table of chunks. */
  readonly countWord: number;
  readonly chunksWord: number;
  readonly chunkTable: number;
}

const firstChunkLog2 = 12;
const firstChunk = 2 ** firstChunkLog2;

/**
 * Chunk k holds 4096 * 2^k records, from number 4096 * (2^k - 1) on: none ever moves, thirty are enough, and since
 * records are handed out in order, memory that holds none is never touched.
 */
export function createSharedRecords(memory: SharedMemory, layout: RecordLayout): SharedRecords {
  const { control, buffer } = memory;
  const { words, countWord, chunksWord, chunkTable } = layout;
  const chunks: Int32Array[] = [];

  function open(index: number): Int32Array {
    for (let k = chunks.length; k <= index; k += 1) {
      const page = Atomics.load(control, chunkTable + k);
      chunks.push(new Int32Array(buffer, page * pageBytes, firstChunk * 2 ** k * words));
    }
    return chunks[index] as Int32Array;
  }

  function makeRoom(index: number): void {
    memory.locked(() => {
      for (let k = Atomics.load(control, chunksWord); k <= index; k += 1) {
        Atomics.store(control, chunkTable + k, memory.allocate(firstChunk * 2 ** k * words * 4));
        Atomics.store(control, chunksWord, k + 1);
      }
    });
  }

  function reserve(): number {
    const record = Atomics.add(control, countWord, 1);
    const index = chunkOf(record);
    if (index >= chunks.length && Atomics.load(control, chunksWord) <= index) makeRoom(index);
    return record;
  }

  return {
    count: () => Atomics.load(control, countWord),
    reserve,
    view(record) {
      const index = chunkOf(record);
      return chunks[index] ?? open(index);
    },
    begin: (record) => (record - ((firstChunk << chunkOf(record)) - firstChunk)) * words,
  };
}

function chunkOf(record: number): number {
  return 31 - Math.clz32((record >>> firstChunkLog2) + 1);
}
