import type { SideStore } from '../repository/store.ts';

const root = 'wal/';

export interface MirroredWal {
  copied: number;
  removed: number;
}

/**
 * Brings the archived WAL of all databases in a mirror of a repository up to date. The mirror has the same key, so objects
 * are copied as they are. What is there stays, but partial segments are copied anew.
 */
export async function mirrorWal(
  from: SideStore,
  to: SideStore,
  options: { remove?: boolean; signal?: AbortSignal; onProgress?(done: MirroredWal): void } = {},
): Promise<MirroredWal> {
  const [source, target] = [await namesIn(from), await namesIn(to)];
  const done: MirroredWal = { copied: 0, removed: 0 };
  // Oldest first: what an interruption leaves has no hole.
  for (const name of [...source].toSorted()) {
    const isPartial = name.endsWith('.partial');
    if (target.has(name) && !isPartial) continue;
    options.signal?.throwIfAborted();
    const bytes = await from.get(name);
    // A partial segment goes when it is full.
    if (bytes === null) continue;
    await to.put(name, bytes, { onlyNew: !isPartial });
    done.copied++;
    options.onProgress?.({ ...done });
  }
  if (options.remove === true) {
    // Looked at twice: a segment that was just filled up may have been missed under both of its names.
    const later = await namesIn(from);
    for (const name of target) {
      if (source.has(name) || later.has(name)) continue;
      await to.remove(name);
      done.removed++;
    }
  }
  return done;
}

async function namesIn(side: SideStore): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const name of side.list(root)) names.add(name);
  return names;
}
