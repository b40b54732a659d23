import { idFromHex } from '../repository/blob.ts';
import { noSlot, type BlobTable } from '../repository/blob-table.ts';
import type { Snapshot } from '../repository/snapshot.ts';
import type { TreeNode } from '../repository/tree.ts';
import { shown } from '../source/raw-path.ts';
import type { Trees } from './trees.ts';
import { joinRaw, type RawPath } from '../source/raw-path.ts';

/** Something that snapshots need and that is not there, or cannot be read. */
export interface MissingPiece {
  /** Short id of the first snapshot that was seen to need it. */
  snapshot: string;
  path: string;
  why: string;
}

/**
 * Marks every blob that snapshots need as `used`. A tree that was met before is not walked again, so each piece that is
 * missing is told of once.
 */
export async function markUsed(
  trees: Trees,
  table: BlobTable,
  snapshots: readonly Snapshot[],
  onMissing: (piece: MissingPiece) => void,
): Promise<void> {
  for (const snapshot of snapshots) {
    const tell = (path: RawPath, why: string): void =>
      onMissing({ snapshot: snapshot.id.slice(0, 8), path: shown(path), why });
    await markTree({ trees, table, tell }, snapshot.tree, '/');
  }
}

interface Marking {
  trees: Trees;
  table: BlobTable;
  tell: (path: RawPath, why: string) => void;
}

async function markTree(marking: Marking, id: string, path: RawPath): Promise<void> {
  const { trees, table, tell } = marking;
  const entry = entryOf(table, 'tree', id);
  if (entry === noSlot) return tell(path, `tree ${id.slice(0, 8)} stands in no index`);
  if (!table.mark(entry, 'used')) return;
  const tree = await trees.load(id);
  if (tree.kind === 'damaged') return tell(path, `tree ${id.slice(0, 8)} ${tree.why}`);
  for (const node of tree.nodes) {
    if (node.type === 'dir' && node.subtree !== undefined)
      await markTree(marking, node.subtree, joinRaw(path, node.name));
    else if (node.type === 'file') markContent(marking, node, path);
  }
}

function markContent({ table, tell }: Marking, node: TreeNode, directory: RawPath): void {
  for (const id of node.content ?? []) {
    const entry = entryOf(table, 'data', id);
    if (entry === noSlot) tell(joinRaw(directory, node.name), `data blob ${id.slice(0, 8)} stands in no index`);
    else table.mark(entry, 'used');
  }
}

function entryOf(table: BlobTable, type: 'data' | 'tree', hex: string): number {
  const id = idFromHex(hex);
  return id === null ? noSlot : table.find(type, id);
}
