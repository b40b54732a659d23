import type { Repository } from '../repository/attach.ts';
import { idFromHex } from '../repository/blob.ts';
import { noSlot, type BlobTable } from '../repository/blob-table.ts';
import { decodeTree, type DecodedTree } from '../repository/tree.ts';
import { createPackCache } from './pack-cache.ts';

/** Reads trees by their ids in hexadecimal. What is wrong with one is the rest of a sentence that begins with its name. */
export interface Trees {
  load(id: string): Promise<DecodedTree>;
}

export function openTrees(repository: Repository, table: BlobTable): Trees {
  const packs = createPackCache(repository, table);
  return {
    async load(hex) {
      const id = idFromHex(hex);
      const slot = id === null ? noSlot : table.find('tree', id);
      if (slot === noSlot) return { kind: 'damaged', why: 'stands in no index' };
      const opened = await packs.open(slot);
      return opened.kind === 'damaged' ? opened : decodeTree(opened.plaintext);
    },
  };
}
