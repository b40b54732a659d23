import { hash } from 'node:crypto';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { readRawIndex } from '../repository/index-file.ts';
import type { Sealer } from '../repository/sealing.ts';
import { configName, damaged, readStored, type FileKind, type RepositoryStore } from '../repository/store.ts';

export interface MirrorOptions {
  from: RepositoryStore;
  /** Empty, or a mirror of the same repository. */
  to: RepositoryStore;
  /** Of the source: with it, packs that stand in no index are left out. They are what killed backups leave. */
  sealer?: Sealer;
  /** Also remove what is no longer in the source. */
  remove?: boolean;
  signal?: AbortSignal;
  onProgress?: (progress: MirrorCounts) => void;
}

export interface MirrorCounts {
  files: number;
  ofFiles: number;
  bytes: number;
  ofBytes: number;
  removed: number;
}

const atOnce = 4;

/** What a file needs is there before it: so at every moment each snapshot of the mirror is whole. */
const writeOrder = ['data', 'index', 'snapshot', 'key', 'config'] as const satisfies FileKind[];
const removeOrder = ['snapshot', 'key', 'index', 'data'] as const satisfies FileKind[];

/**
 * Copies a repository, file by file, to another place: the same keys open it there, and it may go on where it was
 * ended. Every file is compared with its name, which is its hash, before it is written. The caller holds a lock of the
 * source, so that no prune removes what is being copied.
 * @throws MusterError REPOSITORY_EXISTS when another repository is there, REPOSITORY_DAMAGED naming a file of the source
 */
export async function mirror(options: MirrorOptions): Promise<MirrorCounts> {
  const { from, to } = options;
  await mustBeTheSame(from, to);
  const counts: MirrorCounts = { files: 0, ofFiles: 0, bytes: 0, ofBytes: 0, removed: 0 };
  // Listed the other way round than written: whatever a listed snapshot needs was there when the packs are listed.
  const listed = new Map<FileKind, Map<string, number>>();
  for (const kind of writeOrder.toReversed()) listed.set(kind, await namesIn(from, kind));
  if (options.sealer !== undefined) await leaveOutOrphans(from, options.sealer, listed);
  const missing: { kind: FileKind; name: string; sizeBytes: number }[] = [];
  for (const kind of writeOrder) {
    const there = await namesIn(to, kind);
    for (const [name, sizeBytes] of listed.get(kind)!) {
      if (there.get(name) !== sizeBytes) missing.push({ kind, name, sizeBytes });
    }
  }
  counts.ofFiles = missing.length;
  counts.ofBytes = missing.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
  for (const kind of writeOrder) {
    await each(
      missing.filter((file) => file.kind === kind),
      options,
      async ({ name }) => {
        const bytes = await copyFile(from, to, kind, name);
        counts.bytes += bytes;
        counts.files += 1;
        options.onProgress?.({ ...counts });
      },
    );
  }
  if (options.remove === true) await removeGone(options, listed, counts);
  return counts;
}

/** The config holds the id of a repository, sealed the same way in every copy. */
async function mustBeTheSame(from: RepositoryStore, to: RepositoryStore): Promise<void> {
  const [source, target] = await Promise.all([readStored(from, 'config', configName), to.read('config', configName)]);
  if (target === null || Buffer.compare(source, target) === 0) return;
  throw new MusterError(
    'REPOSITORY_EXISTS',
    `there is another repository at ${to.place}; a mirror of ${from.place} needs a place of its own`,
  );
}

async function namesIn(store: RepositoryStore, kind: FileKind): Promise<Map<string, number>> {
  const names = new Map<string, number>();
  for await (const { name, sizeBytes } of store.list(kind)) names.set(name, sizeBytes);
  return names;
}

/** What stands in the index was there when the packs were listed: no snapshot that was listed needs another. */
async function leaveOutOrphans(
  store: RepositoryStore,
  sealer: Sealer,
  listed: ReadonlyMap<FileKind, Map<string, number>>,
): Promise<void> {
  const indexed = new Set<string>();
  for (const name of listed.get('index')!.keys()) {
    for (const { id } of (await readRawIndex({ store, sealer }, name)).packs) indexed.add(id);
  }
  const packs = listed.get('data')!;
  for (const name of packs.keys()) if (!indexed.has(name)) packs.delete(name);
}

async function copyFile(from: RepositoryStore, to: RepositoryStore, kind: FileKind, name: string): Promise<number> {
  const bytes = await readStored(from, kind, name);
  if (kind !== 'config' && hash('sha256', bytes) !== name)
    throw damaged(from, kind, name, 'has another hash than its name');
  await to.write(kind, name, [bytes]);
  return bytes.length;
}

async function removeGone(
  options: MirrorOptions,
  listed: ReadonlyMap<FileKind, ReadonlyMap<string, number>>,
  counts: MirrorCounts,
): Promise<void> {
  for (const kind of removeOrder) {
    const there = await namesIn(options.to, kind);
    const gone = [...there.keys()].filter((name) => !listed.get(kind)!.has(name));
    await each(gone, options, async (name) => {
      await options.to.remove(kind, name);
      counts.removed += 1;
    });
  }
}

async function each<T>(
  items: readonly T[],
  { signal }: MirrorOptions,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      signal?.throwIfAborted();
      await work(items[next++]!);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}
