import { openBlob } from '../repository/blob.ts';
import { noSlot, type BlobTable } from '../repository/blob-table.ts';
import type { Repository } from '../repository/attach.ts';
import { hexOf, idFromHex } from '../repository/blob.ts';
import { pathOf } from '../repository/store.ts';
import { decodeTree, type DecodedTree } from '../repository/tree.ts';

/** A tree, or why it cannot be read: the rest of a sentence that begins with its name. */
export interface Trees {
  load(id: string): Promise<DecodedTree>;
}

/** Whole packs that are kept: a walk comes by the trees of one pack in a row. */
const keptPacks = 4;

/** Reads trees. Packs of trees are read whole, since nearly everything in them is wanted. */
export function openTrees(repository: Repository, table: BlobTable): Trees {
  const packs = new Map<number, Promise<Uint8Array | null>>();

  function packBytes(pack: number): Promise<Uint8Array | null> {
    let bytes = packs.get(pack);
    if (bytes !== undefined) packs.delete(pack);
    bytes ??= repository.store.read('data', table.packName(pack));
    // The one used last is at the end, so the first is the one to go.
    packs.set(pack, bytes);
    if (packs.size > keptPacks) packs.delete(packs.keys().next().value!);
    return bytes;
  }

  return {
    async load(hex) {
      const id = idFromHex(hex);
      const slot = id === null ? noSlot : table.find('tree', id);
      const location = slot === noSlot ? null : table.location(slot);
      if (id === null || location === null) return { kind: 'damaged', why: 'stands in no index' };
      const { pack, offset, length, uncompressedLength } = location;
      const bytes = await packBytes(pack);
      const file = pathOf('data', table.packName(pack));
      if (bytes === null) return { kind: 'damaged', why: `lies in ${file}, which is missing` };
      if (bytes.length < offset + length) return { kind: 'damaged', why: `lies behind the end of ${file}` };
      const opened = openBlob(repository, bytes.subarray(offset, offset + length), { id, uncompressedLength });
      if (opened.kind === 'damaged')
        return { kind: 'damaged', why: `in ${file} ${opened.why} (${hexOf(id).slice(0, 8)})` };
      return decodeTree(opened.plaintext);
    },
  };
}
