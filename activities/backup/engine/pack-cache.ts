import type { Repository } from '../repository/attach.ts';
import { hexOf, openBlob, type OpenedBlob } from '../repository/blob.ts';
import type { BlobTable } from '../repository/blob-table.ts';
import { pathOf } from '../repository/store.ts';

/** Opens blobs out of whole packs, of which it keeps the last few. */
export interface PackCache {
  /** @param slot of the table; `why` of a damaged one begins with the pack */
  open(slot: number): Promise<OpenedBlob>;
}

/** Whoever walks comes by the blobs of one pack in a row, and several threads may have written at a time. */
const keptPacks = 4;

export function createPackCache(repository: Repository, table: BlobTable): PackCache {
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
    async open(slot) {
      const location = table.location(slot);
      if (location === null) return { kind: 'damaged', why: 'stands in no index' };
      const { pack, offset, length, uncompressedLength } = location;
      const bytes = await packBytes(pack);
      const file = pathOf('data', table.packName(pack));
      if (bytes === null) return { kind: 'damaged', why: `lies in ${file}, which is missing` };
      if (bytes.length < offset + length) return { kind: 'damaged', why: `lies behind the end of ${file}` };
      const id = table.idOf(slot);
      const opened = openBlob(repository, bytes.subarray(offset, offset + length), { id, uncompressedLength });
      if (opened.kind === 'intact') return opened;
      return { kind: 'damaged', why: `in ${file} ${opened.why} (${hexOf(id).slice(0, 8)})` };
    },
  };
}
