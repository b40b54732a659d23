import { writeIndexFile, type IndexedPack } from './index-file.ts';
import type { Sealer } from './sealing.ts';
import type { RepositoryStore } from './store.ts';

/** As restic splits its index: a file stays below about 8 MiB of JSON. */
const maxBlobs = 50_000;

/** Gathers packs that are durable into index files. Several packs may be added at a time. */
export interface IndexWriter {
  /** Waits only where a file is full and is written. */
  add(pack: IndexedPack): Promise<void>;
  /** Writes what is left. @returns the names of all files written, first to last */
  finish(): Promise<readonly string[]>;
}

/** @param supersedes index files that the written ones replace, named in each of them */
export function createIndexWriter(
  access: { readonly store: RepositoryStore; readonly sealer: Sealer },
  supersedes: readonly string[] = [],
): IndexWriter {
  const written: string[] = [];
  let packs: IndexedPack[] = [];
  let blobs = 0;

  async function write(): Promise<void> {
    const full = packs;
    packs = [];
    blobs = 0;
    written.push(await writeIndexFile(access, { supersedes, packs: full }));
  }

  return {
    async add(pack) {
      packs.push(pack);
      blobs += pack.entries.length;
      if (blobs >= maxBlobs) await write();
    },
    async finish() {
      if (packs.length > 0) await write();
      return written;
    },
  };
}
