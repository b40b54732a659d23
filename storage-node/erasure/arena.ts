import { type Arena, type Slab } from './types.ts';

const pageBytes = 65_536;
const alignment = 64;
/** Large pieces begin on a sector, so that files can be written from them directly. */
const largeBytes = 64 * 1024;
const largeAlignment = 512;
/** The arena grows by this, so that small needs do not grow it often. */
const growBytes = 4 * 1024 * 1024;

/** The arena's memory, as kernels import it. */
export interface ArenaMemory extends Arena {
  readonly memory: WebAssembly.Memory;
}

/**
 * Memory shared by kernels, sockets and files. It grows and never shrinks; what was given back is handed out again by
 * size class.
 */
export function createArena(options: { initialBytes?: number; maximumBytes?: number } = {}): ArenaMemory {
  const initial = Math.ceil((options.initialBytes ?? 1024 * 1024) / pageBytes);
  const maximum = Math.floor((options.maximumBytes ?? 2 ** 31) / pageBytes);
  const memory = new WebAssembly.Memory({ initial, maximum, shared: true });
  const free = new Map<number, number[]>();
  let top = alignment;
  let inUseBytes = 0;
  let total = initial * pageBytes;
  let newest: ArrayBufferLike | undefined;

  const carve = (bytes: number): number => {
    if (bytes >= largeBytes) top = Math.ceil(top / largeAlignment) * largeAlignment;
    if (top + bytes > total) {
      const pages = Math.ceil(Math.max(bytes, growBytes) / pageBytes);
      memory.grow(pages);
      total += pages * pageBytes;
    }
    const at = top;
    top += bytes;
    return at;
  };
  return {
    memory,
    take(size) {
      const bytes = classOf(size);
      const at = free.get(bytes)?.pop() ?? carve(bytes);
      inUseBytes += bytes;
      const { buffer } = memory;
      if (buffer !== newest) {
        newest = buffer;
        known.set(buffer, memory);
      }
      return slabOf(at, new Uint8Array(buffer, at, size), () => {
        inUseBytes -= bytes;
        const list = free.get(bytes);
        if (list === undefined) free.set(bytes, [at]);
        else list.push(at);
      });
    },
    addressOf: (bytes) => (known.get(bytes.buffer) === memory ? bytes.byteOffset : undefined),
    get inUseBytes() {
      return inUseBytes;
    },
    get totalBytes() {
      return total;
    },
  };
}

/** Every growth makes a new buffer object over the same memory; buffers of earlier sizes are still views of it. */
const known = new WeakMap<ArrayBufferLike, WebAssembly.Memory>();

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
