import type { Repository } from '../repository/attach.ts';
import { createBlobTable, type BlobTable } from '../repository/blob-table.ts';
import { loadIndex } from '../repository/index-load.ts';
import { listSnapshots } from '../repository/snapshot.ts';
import { configName, type FileKind } from '../repository/store.ts';
import { markUsed } from './marks.ts';
import { openTrees } from './trees.ts';

export interface NeededFile {
  kind: FileKind;
  name: string;
}

export interface NeededFiles {
  /** What a restore of any snapshot reads: config, keys, index, snapshots and packs with a blob of one of them. */
  files: NeededFile[];
  /** What of snapshots cannot be read: what it needs is not known. */
  unreadable: string[];
}

/** Which files of the repository its snapshots need. @throws MusterError REPOSITORY_DAMAGED for a damaged index */
export async function neededFiles(repository: Repository): Promise<NeededFiles> {
  const table = createBlobTable();
  const loaded = await loadIndex(repository, table);
  const { snapshots, damaged } = await listSnapshots(repository);
  const unreadable = damaged.map(({ message }) => message);
  await markUsed(openTrees(repository, table), table, snapshots, ({ snapshot, path, why }) =>
    unreadable.push(`snapshot ${snapshot}: ${path}: ${why}`),
  );
  const files: NeededFile[] = [{ kind: 'config', name: configName }];
  for await (const { name } of repository.store.list('key')) files.push({ kind: 'key', name });
  for (const name of loaded.files) files.push({ kind: 'index', name });
  for (const { id: name } of snapshots) files.push({ kind: 'snapshot', name });
  for (const name of usedPacks(table)) files.push({ kind: 'data', name });
  return { files, unreadable };
}

function usedPacks(table: BlobTable): Set<string> {
  const packs = new Set<number>();
  table.forEach((slot) => {
    const location = table.isMarked(slot, 'used') ? table.location(slot) : null;
    if (location !== null) packs.add(location.pack);
  });
  return new Set([...packs].map((pack) => table.packName(pack)));
}
