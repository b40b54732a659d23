import { hexOf, openBlob, type PackEntry } from '../repository/blob.ts';
import type { Repository } from '../repository/attach.ts';
import { damaged } from '../repository/store.ts';
import type { Packer } from './packer.ts';

/** What is to be kept of a pack. */
export interface RepackJob {
  pack: string;
  entries: readonly PackEntry[];
}

/**
 * Copies blobs into new packs as they are sealed, each compared with its id first.
 * @throws MusterError REPOSITORY_DAMAGED naming pack and blob
 */
export async function repack(repository: Repository, packer: Packer, { pack, entries }: RepackJob): Promise<void> {
  const bytes = await repository.store.read('data', pack);
  if (bytes === null) throw damaged(repository.store, 'data', pack, 'is missing');
  for (const entry of entries) {
    const sealed = bytes.subarray(entry.offset, entry.offset + entry.length);
    const opened = sealed.length < entry.length ? null : openBlob(repository, sealed, entry);
    if (opened?.kind !== 'intact') {
      const why = opened === null ? 'is cut off' : opened.why;
      throw damaged(repository.store, 'data', pack, `holds ${entry.type} blob ${hexOf(entry.id)}, which ${why}`);
    }
    packer.move(entry, sealed);
  }
  await packer.room();
}
