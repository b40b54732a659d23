import { createBlobEntries, entryWord, stateBit, type BlobEntries } from './blob-entries.ts';
import { createPackNames } from './pack-names.ts';
import {
  attachSharedMemory,
  createSharedMemory,
  word,
  type SharedMemory,
  type SharedMemoryHandle,
} from './shared-memory.ts';

/** What a blob holds: a piece of a file, or a directory. The two never share a pack, nor an entry of the table. */
export type BlobType = 'data' | 'tree';

/** No slot: `find` did not find the blob, or `claim` came second. */
export const noSlot = -1;

/** Where a blob lies: sealed, `length` bytes at `offset` of a pack. */
export interface BlobLocation {
  /** The number that `addPack` gave; `packName` says which file it is. */
  readonly pack: number;
  readonly offset: number;
  /** Of the sealed blob, in bytes. */
  readonly length: number;
  /** Of the plaintext, in bytes; 0 for a blob that was not compressed. */
  readonly uncompressedLength: number;
}

/** `used`: a snapshot needs it; `verified`: it was read and its hash is right. */
export type BlobMark = 'used' | 'verified';

/**
 * Every blob of a repository by its id, in memory that all threads of a process share. An entry is `claimed` by the
 * one thread that is about to write it, then `stored`. Entries never move and are never removed, so its slot number is
 * good for as long as the table lives. Slots are numbered from 0 without
 * gaps: `slotCount` bounds an array with something of one's own for each. 65 to 105 bytes a blob.
 */
export interface BlobTable {
  /** Claimed and stored blobs. */
  readonly blobCount: number;
  /** One more than the largest slot number. */
  readonly slotCount: number;
  readonly packCount: number;
  /** Bytes of memory handed out so far. */
  readonly sizeBytes: number;
  /**
   * The slot of a blob, claimed or stored; `noSlot` when nobody has it.
   * `id` is the SHA-256 of the plaintext: 32 bytes, from byte `at` on.
   */
  find(type: BlobType, id: Uint8Array, at?: number): number;
  /**
   * Takes it upon this thread to write a blob. Of all threads that ask for one id exactly one gets the slot and must
   * `store` or `release` it; the others get `noSlot` and may take the blob as there.
   */
  claim(type: BlobType, id: Uint8Array, at?: number): number;
  /**
   * Says where the blob of a claimed slot lies, once its pack is durable. For a stored blob: where it lies now, which
   * is only safe while no other thread reads its location.
   */
  store(slot: number, location: BlobLocation): void;
  /** Gives a claim up: the next `claim` of the id gets it. */
  release(slot: number): void;
  /** Enters a blob that an index names: `claim` and `store` in one. False when it is there already (a duplicate). */
  add(type: BlobType, id: Uint8Array, location: BlobLocation): boolean;
  /** null while it is only claimed. */
  location(slot: number): BlobLocation | null;
  typeOf(slot: number): BlobType;
  idOf(slot: number, out?: Uint8Array): Uint8Array;
  /** Sets a mark; true for the one caller that was first. */
  mark(slot: number, mark: BlobMark): boolean;
  isMarked(slot: number, mark: BlobMark): boolean;
  /** Visits every entry; `part` visits a share of them, so that threads can divide the table. */
  forEach(visit: (slot: number) => void, part?: { readonly index: number; readonly of: number }): void;
  /** Gives a pack a number for `BlobLocation.pack`. The same id twice gives two numbers. */
  addPack(id: Uint8Array): number;
  /** The file name of a pack: its id in hexadecimal. */
  packName(pack: number): string;
  packId(pack: number, out?: Uint8Array): Uint8Array;
  /** What another thread attaches by: `postMessage` it, or pass it as workerData. */
  describe(): BlobTableHandle;
}

export type BlobTableHandle = SharedMemoryHandle;

/** An empty table; `expectedBlobs` saves growing, it is no limit. */
export function createBlobTable(options: { readonly expectedBlobs?: number } = {}): BlobTable {
  return tableOver(createSharedMemory(), options.expectedBlobs ?? 0);
}

/** The table that another thread described. */
export function attachBlobTable(handle: BlobTableHandle): BlobTable {
  return tableOver(attachSharedMemory(handle), 0);
}

function tableOver(memory: SharedMemory, expectedBlobs: number): BlobTable {
  const entries = createBlobEntries(memory, expectedBlobs);
  const packs = createPackNames(memory);
  const store = (entry: number, location: BlobLocation): void => storeAt(entries, entry, location);
  return {
    get blobCount() {
      return entries.count() - Atomics.load(memory.control, word.freeEntries);
    },
    get slotCount() {
      return entries.count();
    },
    get packCount() {
      return packs.count();
    },
    get sizeBytes() {
      return memory.sizeBytes();
    },
    find: (type, id, at = 0) => entries.find(bitOf(type), id, at),
    claim: (type, id, at = 0) => entries.claim(bitOf(type), id, at),
    store,
    release: entries.release,
    add(type, id, location) {
      const entry = entries.claim(bitOf(type), id, 0);
      if (entry !== noSlot) store(entry, location);
      return entry !== noSlot;
    },
    location: (entry) => locationOf(entries, entry),
    typeOf: (entry) => ((entries.state(entry) & stateBit.tree) === 0 ? 'data' : 'tree'),
    idOf: (entry, out) => idOf(entries, entry, out),
    mark: (entry, mark) => (entries.setState(entry, stateBit[mark]) & stateBit[mark]) === 0,
    isMarked: (entry, mark) => (entries.state(entry) & stateBit[mark]) !== 0,
    forEach: (visit, part = { index: 0, of: 1 }) => forEach(entries, visit, part),
    addPack: packs.add,
    packId: packs.idOf,
    packName: (pack) => Buffer.from(packs.idOf(pack)).toString('hex'),
    describe: memory.describe,
  };
}

const bitOf = (type: BlobType): number => (type === 'tree' ? stateBit.tree : 0);

function storeAt({ view, begin, setState }: BlobEntries, entry: number, location: BlobLocation): void {
  const words = view(entry);
  const first = begin(entry);
  words[first + entryWord.pack] = location.pack;
  words[first + entryWord.offset] = location.offset;
  words[first + entryWord.length] = location.length;
  words[first + entryWord.uncompressedLength] = location.uncompressedLength;
  setState(entry, stateBit.stored);
}

function locationOf({ view, begin, state }: BlobEntries, entry: number): BlobLocation | null {
  if ((state(entry) & stateBit.phase) !== stateBit.stored) return null;
  const words = view(entry);
  const first = begin(entry);
  return {
    pack: (words[first + entryWord.pack] as number) >>> 0,
    offset: (words[first + entryWord.offset] as number) >>> 0,
    length: (words[first + entryWord.length] as number) >>> 0,
    uncompressedLength: (words[first + entryWord.uncompressedLength] as number) >>> 0,
  };
}

function idOf({ view, begin }: BlobEntries, entry: number, out: Uint8Array = new Uint8Array(32)): Uint8Array {
  const words = view(entry);
  const into = new DataView(out.buffer, out.byteOffset, 32);
  for (let i = 0; i < 8; i += 1) into.setInt32(i * 4, words[begin(entry) + i] as number, true);
  return out;
}

function forEach(entries: BlobEntries, visit: (entry: number) => void, part: { index: number; of: number }): void {
  const count = entries.count();
  const end = Math.floor((count * (part.index + 1)) / part.of);
  for (let entry = Math.floor((count * part.index) / part.of); entry < end; entry += 1) {
    if (entries.isLive(entry)) visit(entry);
  }
}
