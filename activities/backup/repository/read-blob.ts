import { MusterError } from '../../../workflows/engine/errors.ts';
import { hexOf, openBlob, type BlobTools } from './blob.ts';
import { noSlot, type BlobTable, type BlobType } from './blob-table.ts';
import { damaged, readStored, type RepositoryStore } from './store.ts';
import { decodeTree, type TreeNode } from './tree.ts';

interface Access extends BlobTools {
  readonly store: RepositoryStore;
}

/**
 * The plaintext of one blob, by a ranged read of its pack. For many blobs of a pack one larger read is cheaper.
 * @param id 32 bytes
 * @throws MusterError REPOSITORY_DAMAGED naming the pack and the blob
 */
export async function readBlob(access: Access, table: BlobTable, type: BlobType, id: Uint8Array): Promise<Uint8Array> {
  const { store } = access;
  const slot = table.find(type, id);
  const location = slot === noSlot ? null : table.location(slot);
  if (location === null) {
    throw new MusterError('REPOSITORY_DAMAGED', `${type} blob ${hexOf(id)} is in no index (repository ${store.place})`);
  }
  const pack = table.packName(location.pack);
  const sealed = await readStored(store, 'data', pack, location);
  const opened = openBlob(access, sealed, { id, uncompressedLength: location.uncompressedLength });
  if (opened.kind === 'damaged')
    throw damaged(store, 'data', pack, `holds ${type} blob ${hexOf(id)}, which ${opened.why}`);
  return opened.plaintext;
}

/** The nodes of a directory. @throws MusterError REPOSITORY_DAMAGED */
export async function readTree(access: Access, table: BlobTable, id: string): Promise<TreeNode[]> {
  const decoded = decodeTree(await readBlob(access, table, 'tree', Buffer.from(id, 'hex')));
  if (decoded.kind === 'tree') return decoded.nodes;
  throw new MusterError('REPOSITORY_DAMAGED', `tree ${id} ${decoded.why} (repository ${access.store.place})`);
}
