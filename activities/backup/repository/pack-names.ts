import { createSharedRecords, type RecordLayout } from './shared-records.ts';
import { word, type SharedMemory } from './shared-memory.ts';

/** The ids of packs by number, in shared memory. */
export interface PackNames {
  count(): number;
  add(id: Uint8Array): number;
  idOf(pack: number, out?: Uint8Array): Uint8Array;
}

const layout: RecordLayout = {
  words: 8,
  countWord: word.packs,
  chunksWord: word.packChunks,
  chunkTable: word.packChunkTable,
};

export function createPackNames(memory: SharedMemory): PackNames {
  const records = createSharedRecords(memory, layout);

  function bytesOf(pack: number): Uint8Array {
    const view = records.view(pack);
    return new Uint8Array(view.buffer, view.byteOffset + records.begin(pack) * 4, 32);
  }

  function add(id: Uint8Array): number {
    const pack = records.reserve();
    bytesOf(pack).set(id);
    return pack;
  }

  function idOf(pack: number, out: Uint8Array = new Uint8Array(32)): Uint8Array {
    out.set(bytesOf(pack));
    return out;
  }

  return { count: records.count, add, idOf };
}
