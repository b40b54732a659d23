import { MusterError } from '../../../workflows/engine/errors.ts';
import { idFromHex } from '../repository/blob.ts';
import { noSlot, type BlobTable } from '../repository/blob-table.ts';
import type { TreeNode } from '../repository/tree.ts';
import type { PackCache } from './pack-cache.ts';

/**
 * The content of a file of a snapshot, piece by piece, each compared with its hash.
 * @throws MusterError REPOSITORY_DAMAGED naming the file and what is wrong
 */
export async function* readContent(
  { packs, table }: { packs: PackCache; table: BlobTable },
  path: string,
  node: Pick<TreeNode, 'content'>,
): AsyncGenerator<Buffer> {
  for (const hex of node.content ?? []) {
    const id = idFromHex(hex);
    const slot = id === null ? noSlot : table.find('data', id);
    const opened = slot === noSlot ? null : await packs.open(slot);
    if (opened?.kind !== 'intact') {
      const why = opened === null ? 'stands in no index' : opened.why;
      throw new MusterError('REPOSITORY_DAMAGED', `${path}: piece ${hex.slice(0, 8)} ${why}`);
    }
    const { buffer, byteOffset, length } = opened.plaintext;
    yield Buffer.from(buffer, byteOffset, length);
  }
}
