import type { RecoveryPoint, Vault } from '../../workflows/engine/protection.ts';
import { openTrees } from '../backup/engine/trees.ts';
import { walkSnapshot } from '../backup/engine/walk-snapshot.ts';
import { createBlobTable } from '../backup/repository/blob-table.ts';
import { parseTime } from '../backup/repository/go-time.ts';
import { loadIndex } from '../backup/repository/index-load.ts';
import { loadSnapshot } from '../backup/repository/snapshot.ts';
import { shown } from '../backup/source/raw-path.ts';
import { openVault } from './vault.ts';

/** Files of a recovery point that were written after a moment: another part of the service may know nothing of them. */
export interface NewerObjects {
  count: number;
  /** The first twenty, by path. */
  names: string[];
  of: number;
}

const named = 20;

/** @param atMs Unix milliseconds, by the clock of the store. @throws MusterError as `openVault`, REPOSITORY_DAMAGED */
export async function newerObjects(vault: Vault, point: RecoveryPoint, atMs: number): Promise<NewerObjects> {
  const repository = await openVault(vault);
  try {
    const table = createBlobTable();
    await loadIndex(repository, table);
    const { tree } = await loadSnapshot(repository, point.snapshotId);
    const found: NewerObjects = { count: 0, names: [], of: 0 };
    for await (const entry of walkSnapshot(openTrees(repository, table), tree)) {
      if (entry.kind === 'damaged' || entry.node.type !== 'file') continue;
      found.of += 1;
      const writtenAtMs = Number((parseTime(entry.node.mtime) ?? 0n) / 1_000_000n);
      if (writtenAtMs <= atMs) continue;
      found.count += 1;
      if (found.names.length < named) found.names.push(shown(entry.path));
    }
    return found;
  } finally {
    await repository.close();
  }
}
