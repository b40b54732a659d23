import { MusterError } from '../../../workflows/engine/errors.ts';

/**
 * Memory that all threads of a process share and that grows in place. Address space is reserved once, memory is taken
 * page by page as it is handed out; what was handed out never moves.
 *
 * Views must be made with an explicit length: a view that tracks the length of a growable buffer is 150 times slower
 * in V8 (measured, Node 24.21).
 */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
  /** The first page: counters and tables of whoever builds on this, by index of 32-bit words. */
  readonly control: Int32Array;
  /** Runs `work` while no other thread is in here. */
  locked(work: () => void): void;
  /** Zeroed memory, aligned to a page; only inside `locked`. @returns its first page */
  allocate(sizeBytes: number): number;
  /** Bytes handed out so far. */
  sizeBytes(): number;
  describe(): SharedMemoryHandle;
}

/** Structured-cloneable; sharing it shares the memory. */
export interface SharedMemoryHandle {
  readonly buffer: SharedArrayBuffer;
}

export const pageBytes = 4096;

/** Which word of the control page means what. */
export const word = {
  lock: 0,
  pages: 1,
  segments: 2,
  entries: 3,
  entryChunks: 4,
  /** Entries that were given up and that nobody took since. */
  freeEntries: 5,
  packs: 6,
  packChunks: 7,
  /** Three words for each segment of cells. */
  segmentTable: 64,
  /** One word for each chunk. */
  entryChunkTable: 512,
  packChunkTable: 576,
} as const;

/** Growable shared buffers are of ES2024; the types in use are older. */
interface Growable extends SharedArrayBuffer {
  readonly maxByteLength: number;
  grow(newLength: number): void;
}
type GrowableConstructor = new (length: number, options: { maxByteLength: number }) => Growable;

/** As much address space as can be had up to this; enough for 800 million blobs. */
const mostBytes = 2 ** 36;
const leastBytes = 2 ** 28;
/** Growing takes microseconds. A lock held for longer belongs to a thread that was ended inside it. */
const lockLimitMs = 20_000;

export function createSharedMemory(): SharedMemory {
  const memory = over(reserve());
  memory.control[word.pages] = 1;
  return memory;
}

export function attachSharedMemory(handle: SharedMemoryHandle): SharedMemory {
  return over(handle.buffer as Growable);
}

function reserve(): Growable {
  for (let maxByteLength = mostBytes; ; maxByteLength /= 2) {
    try {
      return new (SharedArrayBuffer as unknown as GrowableConstructor)(pageBytes, { maxByteLength });
    } catch (err) {
      // A limit on address space (ulimit -v) is met by asking for less.
      if (maxByteLength <= leastBytes) throw err;
    }
  }
}

function over(buffer: Growable): SharedMemory {
  const control = new Int32Array(buffer, 0, pageBytes / 4);
  const pages = (): number => Atomics.load(control, word.pages);

  function allocate(sizeBytes: number): number {
    const first = pages();
    const end = first + Math.ceil(sizeBytes / pageBytes);
    if (end * pageBytes > buffer.maxByteLength) {
      throw new MusterError(
        'INTERNAL',
        `the blob table needs more than ${buffer.maxByteLength} bytes of address space`,
      );
    }
    buffer.grow(end * pageBytes);
    Atomics.store(control, word.pages, end);
    return first;
  }

  function locked(work: () => void): void {
    enter(control);
    try {
      work();
    } finally {
      Atomics.store(control, word.lock, 0);
      Atomics.notify(control, word.lock, 1);
    }
  }

  return { buffer, control, locked, allocate, sizeBytes: () => pages() * pageBytes, describe: () => ({ buffer }) };
}

function enter(control: Int32Array): void {
  const deadlineMs = performance.now() + lockLimitMs;
  while (Atomics.compareExchange(control, word.lock, 0, 1) !== 0) {
    if (performance.now() > deadlineMs) {
      throw new MusterError('INTERNAL', 'a thread ended while it was making the blob table larger');
    }
    Atomics.wait(control, word.lock, 1, 100);
  }
}
