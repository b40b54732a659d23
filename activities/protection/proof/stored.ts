import { createPackCache, type PackCache } from '../../backup/engine/pack-cache.ts';
import { openTrees, type Trees } from '../../backup/engine/trees.ts';
import { walkSnapshot } from '../../backup/engine/walk-snapshot.ts';
import type { Repository } from '../../backup/repository/attach.ts';
import { idFromHex } from '../../backup/repository/blob.ts';
import { createBlobTable, noSlot, type BlobTable } from '../../backup/repository/blob-table.ts';
import { loadIndex } from '../../backup/repository/index-load.ts';
import { sealingOverhead } from '../../backup/repository/sealing.ts';
import { loadSnapshot, type Snapshot } from '../../backup/repository/snapshot.ts';
import type { TreeNode } from '../../backup/repository/tree.ts';
import { shown } from '../../backup/source/raw-path.ts';
import { Faults } from './finding.ts';

/** A snapshot that is looked at, and what it takes to read in its repository. */
export interface Stored {
  repository: Repository;
  snapshot: Snapshot;
  table: BlobTable;
  trees: Trees;
  packs: PackCache;
}

/** @throws MusterError REPOSITORY_DAMAGED naming the file of the repository */
export async function openStored(repository: Repository, snapshotId: string): Promise<Stored> {
  const snapshot = await loadSnapshot(repository, snapshotId);
  const table = createBlobTable();
  await loadIndex(repository, table);
  const trees = openTrees(repository, table);
  return { repository, snapshot, table, trees, packs: createPackCache(repository, table) };
}

/** What a snapshot lists. */
export interface Listed {
  files: number;
  bytes: number;
  /** Directories that cannot be read, and files whose pieces are not all there or do not make up their sizes. */
  faults: Faults;
}

/** Reads all directories of a snapshot and adds up what they list; reads no content. */
export async function listStored(stored: Stored, onProgress: (files: number) => void): Promise<Listed> {
  const listed: Listed = { files: 0, bytes: 0, faults: new Faults() };
  for await (const entry of walkSnapshot(stored.trees, stored.snapshot.tree)) {
    if (entry.kind === 'damaged') {
      listed.faults.add(`${shown(entry.path)}: ${entry.why}`);
    } else if (entry.node.type === 'file') {
      listed.files += 1;
      listed.bytes += Number(entry.node.sizeBytes ?? 0);
      const fault = faultOf(stored.table, entry.node);
      if (fault !== null) listed.faults.add(`${shown(entry.path)}: ${fault}`);
      onProgress(listed.files);
    }
  }
  return listed;
}

function faultOf(table: BlobTable, node: TreeNode): string | null {
  const pieces = piecesOf(table, node);
  if (pieces === null) return 'not all of its pieces stand in the index';
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  const size = Number(node.sizeBytes ?? 0);
  return bytes === size ? null : `its pieces have ${bytes} bytes, it had ${size}`;
}

/** The pieces of a file in order, with their lengths in bytes; null when one of them stands in no index. */
export function piecesOf(
  table: BlobTable,
  { content }: Pick<TreeNode, 'content'>,
): { id: string; length: number }[] | null {
  const pieces: { id: string; length: number }[] = [];
  for (const hex of content ?? []) {
    const id = idFromHex(hex);
    const slot = id === null ? noSlot : table.find('data', id);
    const location = slot === noSlot ? null : table.location(slot);
    if (location === null) return null;
    const { length, uncompressedLength } = location;
    pieces.push({ id: hex, length: uncompressedLength === 0 ? length - sealingOverhead : uncompressedLength });
  }
  return pieces;
}
