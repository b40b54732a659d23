import type { BlobType } from '../repository/blob-table.ts';
import type { PackEntry } from '../repository/blob.ts';
import type { IndexedPack } from '../repository/index-file.ts';

/**
 * What lies where in a pack, on its way between threads: a few long arrays. As one object for each blob it would cost
 * ten times the memory, and a buffer of its own for each id.
 */
export interface FlatPack {
  name: string;
  count: number;
  /** 32 bytes each. */
  ids: Uint8Array;
  /** Offset, length and uncompressed length of each. */
  numbers: Uint32Array;
  /** 1 for trees. */
  trees: Uint8Array;
}

export function flatten({ name, entries }: IndexedPack): FlatPack {
  const count = entries.length;
  const flat = {
    ...{ name, count },
    ids: new Uint8Array(32 * count),
    numbers: new Uint32Array(3 * count),
    trees: new Uint8Array(count),
  };
  for (const [i, { id, type, offset, length, uncompressedLength }] of entries.entries()) {
    flat.ids.set(id, 32 * i);
    flat.numbers.set([offset, length, uncompressedLength], 3 * i);
    flat.trees[i] = type === 'tree' ? 1 : 0;
  }
  return flat;
}

export function unflatten({ name, count, ids, numbers, trees }: FlatPack): IndexedPack {
  const entries: PackEntry[] = [];
  for (let i = 0; i < count; i++) {
    const type: BlobType = trees[i] === 1 ? 'tree' : 'data';
    const [offset, length, uncompressedLength] = numbers.subarray(3 * i) as unknown as [number, number, number];
    entries.push({ type, id: ids.subarray(32 * i, 32 * i + 32), offset, length, uncompressedLength });
  }
  return { name, entries };
}
