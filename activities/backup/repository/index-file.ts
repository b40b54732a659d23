import { hexOf, type PackEntry } from './blob.ts';
import { damaged, isFileName, type RepositoryStore } from './store.ts';
import { loadUnpacked, saveUnpacked } from './unpacked.ts';
import type { Sealer } from './sealing.ts';
import type { BlobType } from './blob-table.ts';

/** An index file: what lies where in some packs. */
export interface IndexFile {
  /** Names of index files that this one replaces; they count for nothing. */
  readonly supersedes: readonly string[];
  readonly packs: readonly IndexedPack[];
}

export interface IndexedPack {
  /** The file name of the pack. */
  readonly name: string;
  readonly entries: readonly PackEntry[];
}

/** As it stands in the file; numbers that are 0 are left out. */
export interface RawIndex {
  supersedes?: string[] | null;
  packs: RawPack[];
}

export interface RawPack {
  id: string;
  blobs: RawBlob[];
}

export interface RawBlob {
  id: string;
  type: BlobType;
  offset: number;
  length: number;
  uncompressed_length?: number;
}

interface Access {
  readonly store: RepositoryStore;
  readonly sealer: Sealer;
}

/** @throws MusterError REPOSITORY_DAMAGED naming the index file */
export async function readIndexFile(access: Access, name: string): Promise<IndexFile> {
  const raw = await readRawIndex(access, name);
  return {
    supersedes: raw.supersedes ?? [],
    packs: raw.packs.map(({ id, blobs }) => ({ name: id, entries: blobs.map(entryOf) })),
  };
}

/** The JSON of an index file, every number and id in it looked at. @throws MusterError REPOSITORY_DAMAGED */
export async function readRawIndex(access: Access, name: string): Promise<RawIndex> {
  const raw = (await loadUnpacked(access, 'index', name)) as RawIndex;
  const wrong = faultOf(raw);
  if (wrong !== null) throw damaged(access.store, 'index', name, wrong);
  return raw;
}

function faultOf(raw: RawIndex): string | null {
  if (!Array.isArray(raw?.packs)) return 'has no list of packs';
  for (const pack of raw.packs) {
    if (!isFileName(pack?.id) || !Array.isArray(pack.blobs)) return 'has a pack without id or blobs';
    if (!pack.blobs.every(isBlob)) return `has a blob without id or place in pack ${pack.id}`;
  }
  return null;
}

function isBlob({ id, type, offset, length, uncompressed_length = 0 }: RawBlob): boolean {
  if (typeof id !== 'string' || id.length !== 64 || (type !== 'data' && type !== 'tree')) return false;
  return isWord(offset) && isWord(length) && isWord(uncompressed_length);
}

const isWord = (value: number): boolean => Number.isInteger(value) && value >= 0 && value < 2 ** 32;

function entryOf({ id, type, offset, length, uncompressed_length = 0 }: RawBlob): PackEntry {
  return { type, id: Buffer.from(id, 'hex'), offset, length, uncompressedLength: uncompressed_length };
}

/** @returns the name of the file */
export function writeIndexFile(access: Access, { packs, supersedes }: IndexFile): Promise<string> {
  const raw: RawIndex = { packs: packs.map(({ name, entries }) => ({ id: name, blobs: entries.map(rawOf) })) };
  return saveUnpacked(access, 'index', supersedes.length === 0 ? raw : { supersedes, ...raw });
}

function rawOf({ id, type, offset, length, uncompressedLength }: PackEntry): RawBlob {
  const raw: RawBlob = { id: hexOf(id), type, offset, length };
  if (uncompressedLength !== 0) raw.uncompressed_length = uncompressedLength;
  return raw;
}
