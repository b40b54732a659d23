import { MusterError } from '../../../workflows/engine/errors.ts';
import { pageBytes, word, type SharedMemory } from './shared-memory.ts';

/**
 * Which entry has which id: open addressing over shared memory, without locks. A cell is two words: a tag (the first
 * 32 bits of the id) and the number of the entry. When a segment of cells is full a larger one is added; cells never
 * move.
 *
 * That of several threads exactly one enters an id follows from this: the cells that an id may take form one fixed
 * sequence (linear probing in the first segment, then in the second, ...), and an id is entered at the first cell of
 * its sequence that is empty, by compare-and-exchange on the tag. To go on to the next segment a thread first turns
 * that empty cell from `empty` into `closed`, also by compare-and-exchange, so nobody enters the id behind its back.
 * For all other ids a closed cell ends the search in its segment just as the empty one did.
 */
export interface BlobHash {
  /** The entry of an id, or -1. `isEntry` tells whether an entry whose tag is right is the one. */
  find(tag: number, hash: number, isEntry: (entry: number) => boolean): number;
  /** Like `find`; when there is none, `create` makes one, called by exactly one thread for an id: then -1 - entry. */
  findOrCreate(tag: number, hash: number, entries: EntrySource): number;
}

export interface EntrySource {
  isEntry(entry: number): boolean;
  create(): number;
}

const empty = 0;
const closed = 1;
const atClosed = -1;
const atEmpty = -2;
const maxSegments = 64;
const smallestLog2 = 14;
const largestLog2 = 24;
const fullShare = 0.6;
/** Writing an entry takes less than a microsecond. One not written after this belongs to a thread that was ended. */
const writtenLimitMs = 20_000;

interface Segment {
  readonly index: number;
  /** Pairs: tag, entry + 1. */
  readonly cells: Int32Array;
  readonly mask: number;
  readonly limit: number;
}

export function createBlobHash(memory: SharedMemory, expected: number): BlobHash {
  const { control } = memory;
  const segments: Segment[] = [];

  function segment(index: number): Segment | undefined {
    const known = segments[index];
    if (known !== undefined) return known;
    const count = Atomics.load(control, word.segments);
    while (segments.length < count) segments.push(openSegment(memory, segments.length));
    return segments[index];
  }

  function addSegment(index: number): Segment {
    memory.locked(() => {
      if (Atomics.load(control, word.segments) > index) return;
      if (index >= maxSegments) throw new MusterError('INTERNAL', 'the blob table is full');
      const before = segment(index - 1);
      allocateSegment(memory, index, before === undefined ? firstLog2(expected) : Math.log2(before.mask + 1) + 2);
    });
    return segment(index) as Segment;
  }

  function find(tag: number, hash: number, isEntry: (entry: number) => boolean): number {
    for (let index = 0; ; index += 1) {
      const part = segment(index);
      if (part === undefined) return -1;
      const seen = probe(part, safe(tag), hash, isEntry);
      if (seen >= 0) return seen;
      if (seen !== atClosed) return -1;
    }
  }

  function findOrCreate(tag: number, hash: number, { isEntry, create }: EntrySource): number {
    for (let index = 0; ;) {
      const part = segment(index) ?? addSegment(index);
      const seen = probe(part, safe(tag), hash, isEntry);
      if (seen >= 0) return seen;
      const pair = atEmpty - seen;
      if (seen === atClosed) index += 1;
      else if ((control[filledWord(part.index)] as number) >= part.limit) close(part, pair);
      else if (Atomics.compareExchange(part.cells, pair, empty, safe(tag)) === empty)
        return enter(part, pair, create());
    }
  }

  /** Whether it worked or another thread was first: either way the segment is searched again. */
  function close(part: Segment, pair: number): void {
    Atomics.compareExchange(part.cells, pair, empty, closed);
  }

  function enter(part: Segment, pair: number, entry: number): number {
    Atomics.store(part.cells, pair + 1, entry + 1);
    Atomics.add(control, filledWord(part.index), 1);
    return -1 - entry;
  }

  return { find, findOrCreate };
}

/**
 * Where the search in a segment ends: at an entry (its number), at a closed cell (`atClosed`) or at an empty one
 * (`atEmpty` minus its place). What was seen is answered, since the cell may be another's a moment later.
 */
function probe({ cells, mask }: Segment, tag: number, hash: number, isEntry: (entry: number) => boolean): number {
  for (let at = hash & mask; ; at = (at + 1) & mask) {
    const seen = cells[at * 2] as number;
    if (seen === tag) {
      const entry = whenWritten(cells, at * 2 + 1) - 1;
      if (isEntry(entry)) return entry;
    } else if (seen === empty) return atEmpty - at * 2;
    else if (seen === closed) return atClosed;
  }
}

/** The two values that mean something else are moved away: a tag is only a hint. */
const safe = (tag: number): number => (tag === empty || tag === closed ? tag + 2 : tag);

const filledWord = (index: number): number => word.segmentTable + index * 3 + 2;

function firstLog2(expected: number): number {
  return Math.max(Math.ceil(Math.log2(Math.max(expected, 1) / fullShare)), smallestLog2);
}

function allocateSegment(memory: SharedMemory, index: number, wantedLog2: number): void {
  const log2 = index === 0 ? wantedLog2 : Math.max(smallestLog2, Math.min(wantedLog2, largestLog2));
  const at = word.segmentTable + index * 3;
  Atomics.store(memory.control, at, memory.allocate(2 ** log2 * 8));
  Atomics.store(memory.control, at + 1, log2);
  Atomics.store(memory.control, word.segments, index + 1);
}

function openSegment({ buffer, control }: SharedMemory, index: number): Segment {
  const at = word.segmentTable + index * 3;
  const capacity = 2 ** Atomics.load(control, at + 1);
  const cells = new Int32Array(buffer, Atomics.load(control, at) * pageBytes, capacity * 2);
  return { index, cells, mask: capacity - 1, limit: Math.floor(capacity * fullShare) };
}

/**
 * The second word of a cell whose tag is there: the thread that set the tag writes it a moment later. Read plainly,
 * since an atomic read costs 30 ns and the words of the entry are reached through the number read here, which orders
 * them on every processor.
 */
function whenWritten(cells: Int32Array, at: number): number {
  const value = cells[at] as number;
  return value === 0 ? waitUntilWritten(cells, at) : value;
}

function waitUntilWritten(cells: Int32Array, at: number): number {
  const deadlineMs = performance.now() + writtenLimitMs;
  for (;;) {
    for (let spin = 0; spin < 1000; spin += 1) {
      const value = Atomics.load(cells, at);
      if (value !== 0) return value;
    }
    if (performance.now() > deadlineMs) {
      throw new MusterError('INTERNAL', 'a thread ended while it was writing an entry of the blob table');
    }
    Atomics.wait(cells, at, 0, 1);
  }
}
