import { type Arena, type Slab } from './types.ts';

const pageBytes = 65_536;
const alignment = 64;
/** Large pieces begin on a sector, so that files can be written from them directly. */
const largeBytes = 64 * 1024;
const largeAlignment = 512;
/** Address space to ask for, and the least that is worth to start with: a system may not promise more than it has. */
const mostBytes = 2 ** 31;
const leastBytes = 2 ** 26;

/** The arena's memory, as kernels import it. */
export interface ArenaMemory extends Arena {
  readonly memory: WebAssembly.Memory;
}

/**
 * Memory shared by kernels, sockets and files. All of its address space is taken at once and none of it shared between
 * threads: memory that grows would leave views of it behind, and copying into memory that may be shared takes twice as
 * long. The system gives real memory only to what was touched; what was given back is handed out again by size class.
 */
export function createArena(options: { maximumBytes?: number } = {}): ArenaMemory {
  const memory = reserve(options.maximumBytes ?? mostBytes);
  const { buffer } = memory;
  const free = new Map<number, number[]>();
  let top = alignment;
  let inUseBytes = 0;

  const carve = (bytes: number): number => {
    const at = bytes >= largeBytes ? Math.ceil(top / largeAlignment) * largeAlignment : top;
    if (at + bytes > buffer.byteLength) {
      throw new RangeError(`the arena's ${buffer.byteLength} bytes are all in use: ${bytes} more were asked for`);
    }
    top = at + bytes;
    return at;
  };
  return {
    memory,
    take(size) {
      const bytes = classOf(size);
      const at = free.get(bytes)?.pop() ?? carve(bytes);
      inUseBytes += bytes;
      return slabOf(at, new Uint8Array(buffer, at, size), () => {
        inUseBytes -= bytes;
        const list = free.get(bytes);
        if (list === undefined) free.set(bytes, [at]);
        else list.push(at);
      });
    },
    addressOf: (bytes) => (bytes.buffer === buffer ? bytes.byteOffset : undefined),
    get inUseBytes() {
      return inUseBytes;
    },
    get totalBytes() {
      return top;
    },
  };
}

function reserve(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / pageBytes);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (error) {
    if (bytes / 2 < leastBytes) throw error;
    return reserve(bytes / 2);
  }
}

function slabOf(at: number, bytes: Uint8Array, giveBack: () => void): Slab {
  let held = true;
  return {
    at,
    bytes,
    release() {
      if (!held) throw new Error('a slab was released twice');
      held = false;
      giveBack();
    },
  };
}

/** Sizes are rounded up to classes: powers of two and what lies half-way between; large ones in eighths. */
function classOf(size: number): number {
  let bytes = alignment;
  while (bytes < size) bytes *= 2;
  if (bytes > largeBytes) return Math.ceil(size / (bytes / 16)) * (bytes / 16);
  const between = (bytes / 4) * 3;
  return between >= size && between % alignment === 0 ? between : bytes;
}
