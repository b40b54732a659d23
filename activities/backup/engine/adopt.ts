import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Repository } from '../repository/attach.ts';
import type { BlobTable } from '../repository/blob-table.ts';
import { idFromHex } from '../repository/blob.ts';
import type { LoadedIndex } from '../repository/index-load.ts';
import { createIndexWriter } from '../repository/index-write.ts';
import { listLocks } from '../repository/lock.ts';
import { readPackHeader } from '../repository/pack-header.ts';
import { abandonedMarks } from './open-marks.ts';

/**
 * Takes over packs that an earlier backup wrote and did not get to index, so that nothing is written twice. Looks for
 * them only where a stale lock or an abandoned mark says that there may be some, since it lists every pack; then removes
 * what said so.
 * A pack that another client is about to index may be taken, too: an index may name a pack twice.
 * @returns how many packs were taken over
 */
export async function adoptOrphans(repository: Repository, table: BlobTable, loaded: LoadedIndex): Promise<number> {
  const locks = await listLocks(repository);
  const stale = locks.filter(({ verdict }) => verdict.kind === 'stale');
  const marks = await abandonedMarks(repository, locks);
  if (stale.length === 0 && marks.length === 0) return 0;
  const index = createIndexWriter(repository);
  let adopted = 0;
  for await (const { name, sizeBytes } of repository.store.list('data')) {
    if (loaded.packs.has(name)) continue;
    const entries = await headerOf(repository, { name, sizeBytes });
    if (entries === null) continue;
    const pack = table.addPack(idFromHex(name)!);
    for (const entry of entries) table.add(entry.type, entry.id, { pack, ...entry });
    await index.add({ name, entries });
    adopted += 1;
  }
  await index.finish();
  for (const { lock } of stale) await repository.store.remove('lock', lock.name);
  for (const mark of marks) await repository.store.side.remove(mark);
  return adopted;
}

/** null for what is no whole pack: a check names it, a prune removes it. */
async function headerOf(
  repository: Repository,
  pack: { name: string; sizeBytes: number },
): Promise<Awaited<ReturnType<typeof readPackHeader>> | null> {
  try {
    return await readPackHeader(repository.store, repository, pack);
  } catch (err) {
    if (err instanceof MusterError && err.code === 'REPOSITORY_DAMAGED') return null;
    throw err;
  }
}
