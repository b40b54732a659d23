import { MusterError } from '../../../workflows/engine/errors.ts';
import type { PackEntry } from './blob.ts';
import type { BlobTable } from './blob-table.ts';
import { readRawIndex, type RawBlob, type RawIndex } from './index-file.ts';
import type { Sealer } from './sealing.ts';
import type { RepositoryStore } from './store.ts';

/** A blob that lies in more than one place: the table holds the first, this is another. */
export interface DuplicateBlob extends PackEntry {
  /** The number of the pack in the table. */
  readonly pack: number;
  /** The slot of the blob in the table. */
  readonly slot: number;
}

export interface LoadedIndex {
  /** Names of the index files that count. */
  readonly files: readonly string[];
  /** Names of index files that others replace: to be removed when the index is written anew. */
  readonly superseded: readonly string[];
  /** Numbers in the table by file name of the pack. */
  readonly packs: ReadonlyMap<string, number>;
  readonly duplicates: readonly DuplicateBlob[];
}

export interface LoadOptions {
  /** Told of an index file that is damaged, to go on without it; without this, the first one ends the loading. */
  readonly onDamaged?: (err: MusterError) => void;
  /** Told after each file. */
  readonly onProgress?: (done: { readonly files: number; readonly ofFiles: number }) => void;
}

/** How many index files are read ahead of the one that is being parsed. */
const readAhead = 4;

/**
 * Reads the whole index into the table.
 * @throws MusterError REPOSITORY_DAMAGED naming the index file
 */
export async function loadIndex(
  access: { readonly store: RepositoryStore; readonly sealer: Sealer },
  table: BlobTable,
  { onDamaged, onProgress }: LoadOptions = {},
): Promise<LoadedIndex> {
  const names: string[] = [];
  for await (const { name } of access.store.list('index')) names.push(name);
  const loader = createLoader(table);
  const pending = names.map((name, i) => (i < readAhead ? settle(readRawIndex(access, name)) : null));
  for (const [i, name] of names.entries()) {
    const next = names[i + readAhead];
    if (next !== undefined) pending[i + readAhead] = settle(readRawIndex(access, next));
    const read = (await pending[i]) as Settled;
    pending[i] = null;
    if (!('err' in read)) loader.take(name, read.index);
    else if (onDamaged === undefined || !isDamage(read.err)) throw read.err;
    else onDamaged(read.err);
    onProgress?.({ files: i + 1, ofFiles: names.length });
  }
  return loader.end();
}

const isDamage = (err: unknown): err is MusterError => err instanceof MusterError && err.code === 'REPOSITORY_DAMAGED';

type Settled = { readonly index: RawIndex } | { readonly err: unknown };

/** A read that fails while another is awaited must not count as unhandled. */
function settle(read: Promise<RawIndex>): Promise<Settled> {
  return read.then(
    (index) => ({ index }),
    (err: unknown) => ({ err }),
  );
}

interface Loader {
  take(name: string, index: RawIndex): void;
  end(): LoadedIndex;
}

/**
 * Files are entered as they come, so that never more than a few are in memory. One that is entered before the file that
 * replaces it does no harm: whoever removes packs removes the index files that name them first.
 */
function createLoader(table: BlobTable): Loader {
  const packs = new Map<string, number>();
  const duplicates = new Map<string, DuplicateBlob>();
  const superseded = new Set<string>();
  const files: string[] = [];
  const id = Buffer.alloc(32);

  function enter(pack: number, raw: RawBlob): void {
    const { type, offset, length, uncompressed_length: uncompressedLength = 0 } = raw;
    id.write(raw.id, 'hex');
    if (!table.add(type, id, { pack, offset, length, uncompressedLength })) noteDuplicate(pack, raw);
  }

  /** The same pack may stand in two index files; that makes no duplicate. */
  function noteDuplicate(pack: number, { type, offset, length, uncompressed_length = 0 }: RawBlob): void {
    const slot = table.find(type, id);
    const location = table.location(slot);
    if (location?.pack === pack && location.offset === offset) return;
    const blob = { type, id: Uint8Array.from(id), offset, length, uncompressedLength: uncompressed_length };
    duplicates.set(`${pack} ${offset}`, { ...blob, pack, slot });
  }

  return {
    take(name, index) {
      for (const replaced of index.supersedes ?? []) superseded.add(replaced);
      files.push(name);
      if (superseded.has(name)) return;
      for (const { id: packName, blobs } of index.packs) {
        const pack = packs.get(packName) ?? table.addPack(Buffer.from(packName, 'hex'));
        packs.set(packName, pack);
        for (const blob of blobs) enter(pack, blob);
      }
    },
    end: () => ({
      files: files.filter((name) => !superseded.has(name)),
      superseded: files.filter((name) => superseded.has(name)),
      packs,
      duplicates: [...duplicates.values()],
    }),
  };
}
