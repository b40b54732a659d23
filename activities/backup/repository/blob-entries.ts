import { MusterError } from '../../../workflows/engine/errors.ts';
import { createBlobHash } from './blob-hash.ts';
import { createSharedRecords, type RecordLayout } from './shared-records.ts';
import { word, type SharedMemory } from './shared-memory.ts';

/** The entries of the blob table by number: id, state and place of a blob, and the search by id. */
export interface BlobEntries {
  /** Entries ever made; some may be given up or not yet written (`isLive`). */
  count(): number;
  /** The entry of the id that begins at byte `at` of `ids`, or -1; `tree` is `stateBit.tree` or 0. */
  find(tree: number, ids: Uint8Array, at: number): number;
  /** Makes the entry, or takes one that was given up: its number for the one caller that did, -1 for the others. */
  claim(tree: number, ids: Uint8Array, at: number): number;
  release(entry: number): void;
  isLive(entry: number): boolean;
  state(entry: number): number;
  /** Sets bits of the state word. @returns the word before */
  setState(entry: number, bits: number): number;
  /** The array that an entry's words lie in, from `begin(entry)` on. */
  view(entry: number): Int32Array;
  begin(entry: number): number;
}

/** Words of an entry. */
export const entryWord = { id: 0, state: 8, pack: 9, offset: 10, length: 11, uncompressedLength: 12 } as const;

/** Bits of the state word. Phase 0: reserved, and not yet written. `stored` is `claimed` with one bit more. */
export const stateBit = { claimed: 1, free: 2, stored: 3, phase: 3, tree: 4, used: 8, verified: 16 } as const;

const layout: RecordLayout = {
  words: 13,
  countWord: word.entries,
  chunksWord: word.entryChunks,
  chunkTable: word.entryChunkTable,
};

export function createBlobEntries(memory: SharedMemory, expected: number): BlobEntries {
  const { control } = memory;
  const records = createSharedRecords(memory, layout);
  const hash = createBlobHash(memory, expected);
  const { view, begin } = records;
  // What is being looked for. Kept here, since a function made for each search would cost more than the search.
  let wanted: Uint8Array = new Uint8Array(32);
  let wantedAt = 0;
  let wantedTree = 0;

  const state = (entry: number): number => Atomics.load(view(entry), begin(entry) + entryWord.state);
  // For what no other word depends on; an atomic read costs 30 ns.
  const plainState = (entry: number): number => view(entry)[begin(entry) + entryWord.state] as number;

  function isWanted(entry: number): boolean {
    const words = view(entry);
    const first = begin(entry);
    if (((words[first + entryWord.state] as number) & stateBit.tree) !== wantedTree) return false;
    for (let i = 0; i < 8; i += 1) if (words[first + i] !== wordAt(wanted, wantedAt + i * 4)) return false;
    return true;
  }

  function create(): number {
    const entry = records.reserve();
    const words = view(entry);
    const first = begin(entry);
    for (let i = 0; i < 8; i += 1) words[first + i] = wordAt(wanted, wantedAt + i * 4);
    Atomics.store(words, first + entryWord.state, stateBit.claimed | wantedTree);
    return entry;
  }

  const source = { isEntry: isWanted, create };

  function want(tree: number, ids: Uint8Array, at: number): void {
    if (ids.length < at + 32) throw new MusterError('INTERNAL', 'a blob id of fewer than 32 bytes');
    wanted = ids;
    wantedAt = at;
    wantedTree = tree;
  }

  function find(tree: number, ids: Uint8Array, at: number): number {
    want(tree, ids, at);
    const entry = hash.find(wordAt(ids, at), wordAt(ids, at + 4), isWanted);
    return entry >= 0 && isLive(entry) ? entry : -1;
  }

  function claim(tree: number, ids: Uint8Array, at: number): number {
    want(tree, ids, at);
    const found = hash.findOrCreate(wordAt(ids, at), wordAt(ids, at + 4), source);
    if (found < 0) return -1 - found;
    return !isLive(found) && reclaim(found) ? found : -1;
  }

  function reclaim(entry: number): boolean {
    const stateAt = begin(entry) + entryWord.state;
    for (;;) {
      const before = state(entry);
      if ((before & stateBit.phase) !== stateBit.free) return false;
      const after = (before & ~stateBit.phase) | stateBit.claimed;
      if (Atomics.compareExchange(view(entry), stateAt, before, after) !== before) continue;
      Atomics.sub(control, word.freeEntries, 1);
      return true;
    }
  }

  function release(entry: number): void {
    if ((state(entry) & stateBit.phase) !== stateBit.claimed) {
      throw new MusterError('INTERNAL', `entry ${entry} of the blob table is released, but not claimed`);
    }
    Atomics.xor(view(entry), begin(entry) + entryWord.state, stateBit.claimed ^ stateBit.free);
    Atomics.add(control, word.freeEntries, 1);
  }

  function isLive(entry: number): boolean {
    return (plainState(entry) & stateBit.claimed) !== 0;
  }

  const setState = (entry: number, bits: number): number =>
    Atomics.or(view(entry), begin(entry) + entryWord.state, bits);

  return { count: records.count, find, claim, release, isLive, state, setState, view, begin };
}

/** Four bytes as a 32-bit integer: the same in every thread, whatever the machine. */
function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
