import { type BlobTable } from '../repository/blob-table.ts';
import type { PackEntry } from '../repository/blob.ts';
import type { LoadedIndex } from '../repository/index-load.ts';

/** What the index says of one pack. */
export interface PackContents {
  /** File name. */
  name: string;
  entries: (PackEntry & { slot: number })[];
}

/** The index turned around: by pack number, with blobs that lie in several packs in each of them. */
export function contentsByPack(table: BlobTable, loaded: LoadedIndex): Map<number, PackContents> {
  const packs = new Map<number, PackContents>();
  const take = (pack: number, slot: number, at: Omit<PackEntry, 'type' | 'id'>): void => {
    let contents = packs.get(pack);
    if (contents === undefined) packs.set(pack, (contents = { name: table.packName(pack), entries: [] }));
    const { offset, length, uncompressedLength } = at;
    contents.entries.push({
      type: table.typeOf(slot),
      id: table.idOf(slot),
      offset,
      length,
      uncompressedLength,
      slot,
    });
  };
  table.forEach((slot) => {
    const location = table.location(slot);
    if (location !== null) take(location.pack, slot, location);
  });
  for (const { pack, slot, ...at } of loaded.duplicates) take(pack, slot, at);
  for (const contents of packs.values()) contents.entries.sort((a, b) => a.offset - b.offset);
  return packs;
}
