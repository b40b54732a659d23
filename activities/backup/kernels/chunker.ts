import { createCipheriv } from 'node:crypto';
import {
  bindChunker,
  chunkerStateBytes,
  gearEntries,
  gearOffset,
  phaseCount,
  thresholdOffset,
} from './chunker-kernel.ts';
import { createKernelMemory, type KernelMemory } from './memory.ts';

/** Cuts a stream of bytes into chunks. Where it cuts does not depend on the pieces in which the bytes come. */
export interface Chunker {
  readonly maxBytes: number;
  /**
   * Looks for the end of the chunk that begins at `start`, in `bytes` up to `end`.
   *
   * @returns its length, and then the next call is about the chunk after it; 0 when it does not end here, and then the
   * next call is about the same chunk, with more bytes, and starts where this one left off. What is left when the
   * stream ends is its last chunk.
   */
  next(bytes: Uint8Array, start: number, end: number): number;
  /** Forgets a chunk that was begun. */
  reset(): void;
}

export interface ChunkerOptions {
  /** 32 secret bytes of the repository: sizes of chunks would otherwise tell which files it holds. */
  readonly seed: Uint8Array;
  /** No chunk but the last of a stream is smaller. Default 512 KiB. */
  readonly minBytes?: number;
  /** What chunks of random data have on average. Default 1 MiB. */
  readonly targetBytes?: number;
  /** Default 8 MiB. */
  readonly maxBytes?: number;
}

/** What a chunker takes of the memory it is given. */
export const chunkerMemoryBytes = 64 * 1024;

/** The hash knows so many bytes; it begins as many before the first place where a chunk may end. */
const windowBytes = 64;
const sliceBytes = chunkerMemoryBytes - 4096;

/**
 * Content-defined chunking by gear hash, with normalised sizes.
 * Source: Xia et al., The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems (2020).
 *
 * @param memory bytes that lie in this memory are not copied
 * @throws RangeError for sizes that contradict each other
 */
export function createChunker(
  options: ChunkerOptions,
  memory: KernelMemory = createKernelMemory(chunkerMemoryBytes),
): Chunker {
  const sizes = sizesOf(options);
  const { maxBytes } = sizes;
  const kernel = bindChunker(memory.memory);
  const state = memory.take(chunkerStateBytes);
  const slice = memory.take(sliceBytes);
  const phases = phasesOf(sizes);
  writeState(state, phases, options.seed);
  const hash = new Uint32Array(state.buffer, state.byteOffset, 2);
  /** Bytes of the chunk that were looked at. */
  let seen = 0;

  /** Hashes bytes `from` to `to` of the chunk that begins at `start`. @returns the length of the chunk; 0 when it goes on */
  function scan(bytes: Uint8Array, start: number, { from, to, phase }: Stretch): number {
    const address = memory.addressOf(bytes);
    if (address !== undefined) {
      const stopped = kernel(address + start + from, address + start + to, state.byteOffset, phase);
      return stopped === 0 ? 0 : stopped - address - start;
    }
    for (let at = from; at < to; at += sliceBytes) {
      const length = Math.min(sliceBytes, to - at);
      slice.set(bytes.subarray(start + at, start + at + length));
      const stopped = kernel(slice.byteOffset, slice.byteOffset + length, state.byteOffset, phase);
      if (stopped !== 0) return at + stopped - slice.byteOffset;
    }
    return 0;
  }

  function lengthOfChunk(bytes: Uint8Array, start: number, available: number): number {
    for (const [phase, { from, to }] of phases.entries()) {
      const begin = Math.max(from, seen);
      const stop = Math.min(to, available);
      if (begin >= stop) continue;
      const length = scan(bytes, start, { from: begin, to: stop, phase });
      if (length !== 0) return length;
      seen = stop;
    }
    return available >= maxBytes ? maxBytes : 0;
  }

  function reset(): void {
    seen = 0;
    hash.fill(0);
  }

  return {
    maxBytes,
    reset,
    next(bytes, start, end) {
      const length = lengthOfChunk(bytes, start, end - start);
      if (length !== 0) reset();
      return length;
    },
  };
}

/** Chunks of one size, as for files made of pages. The size is a multiple of theirs. */
export function createFixedChunker(sizeBytes: number): Chunker {
  if (!Number.isInteger(sizeBytes) || sizeBytes < 1) throw new RangeError(`chunks cannot have ${sizeBytes} bytes`);
  return {
    maxBytes: sizeBytes,
    next: (_, start, end) => (end - start >= sizeBytes ? sizeBytes : 0),
    reset: () => undefined,
  };
}

interface Sizes {
  readonly minBytes: number;
  readonly targetBytes: number;
  readonly maxBytes: number;
}

interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly phase: number;
}

/** A stretch of a chunk in which bytes are hashed, and how likely the chunk is to end at each. */
interface Phase {
  readonly from: number;
  readonly to: number;
  readonly likelihood: number;
}

function sizesOf({ seed, minBytes = 2 ** 19, targetBytes = 2 ** 20, maxBytes = 2 ** 23 }: ChunkerOptions): Sizes {
  if (seed.length !== 32) throw new RangeError(`the seed of a chunker has 32 bytes, not ${seed.length}`);
  const sizes = [minBytes, targetBytes, maxBytes];
  if (!sizes.every(Number.isInteger) || minBytes < windowBytes || minBytes >= targetBytes || targetBytes > maxBytes) {
    throw new RangeError(`chunks of ${minBytes} to ${maxBytes} bytes, ${targetBytes} on average, cannot be made`);
  }
  return { minBytes, targetBytes, maxBytes };
}

/**
 * Ends are a quarter as likely as the target asks for at first, and four times as likely later, so that sizes lie
 * closer together than chance would have them. The change is where it makes the target the mean.
 */
function phasesOf({ minBytes, targetBytes, maxBytes }: Sizes): readonly Phase[] {
  const mean = targetBytes - minBytes;
  const rare = 1 / (4 * targetBytes);
  const often = Math.max(4 / targetBytes, 1 / mean);
  // The mean is (1 - u) / rare + u / often, where u = exp(-rare length) is the share that goes through the first phase.
  const share = (1 / rare - mean) / (1 / rare - 1 / often);
  const change = Math.min(minBytes + Math.round(-Math.log(share) / rare), maxBytes);
  // A chunk that ends at a byte includes it.
  return [
    { from: minBytes - windowBytes, to: minBytes - 1, likelihood: 0 },
    { from: minBytes - 1, to: change - 1, likelihood: rare },
    { from: change - 1, to: maxBytes - 1, likelihood: often },
  ];
}

function writeState(state: Uint8Array<ArrayBuffer>, phases: readonly Phase[], seed: Uint8Array): void {
  const view = new DataView(state.buffer, state.byteOffset, state.length);
  const thresholds = phases.map(({ likelihood }) => BigInt(Math.floor(likelihood * 2 ** 64)));
  thresholds.forEach((threshold, i) => view.setBigUint64(thresholdOffset + i * 8, threshold, true));
  const gear = gearOf(seed);
  const highest = thresholds[phaseCount - 1] as bigint;
  for (let byte = 0; byte < gearEntries; byte += 1) {
    const number = gear.readBigUInt64LE(byte * 8);
    // A run of one byte makes the hash minus its number. No chunk may end there, or a hole in a file is cut to pieces.
    const ends = BigInt.asUintN(64, -number) < highest;
    view.setBigUint64(gearOffset + byte * 8, ends ? number >> 1n : number, true);
  }
}

/** Random numbers by the seed: an AES-256 key stream. */
function gearOf(seed: Uint8Array): Buffer {
  return createCipheriv('aes-256-ctr', seed, new Uint8Array(16)).update(new Uint8Array(gearEntries * 8));
}
