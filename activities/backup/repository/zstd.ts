import { randomFillSync } from 'node:crypto';
import {
  constants,
  createZstdCompress,
  createZstdDecompress,
  zstdCompressSync,
  zstdDecompressSync,
  type ZstdCompress,
  type ZstdDecompress,
} from 'node:zlib';

/** zstd for one piece after the other; belongs to one thread. Levels of `compress` are those of restic's `auto`. */
export interface Zstd {
  /** The compressed bytes, good until the next call; null when they would not be smaller than the plaintext. */
  compress(plaintext: Uint8Array): Uint8Array | null;
  /**
   * Exactly `length` bytes, in a buffer of their own; null when it is not zstd or not of that length.
   */
  decompress(compressed: Uint8Array, length: number): Uint8Array | null;
}

/**
 * Every call of zlib's synchronous functions makes a zstd context and throws it away, which costs 20 to 40 µs: for
 * most files more than compressing them. So one context is kept and driven the way those functions do it. That way is
 * no public interface, so it is tried out first, and without it the public functions do the work.
 */
export function createZstd(): Zstd {
  const kept = createKeptZstd();
  return kept !== null && worksLike(kept, publicZstd) ? kept : publicZstd;
}

const publicZstd: Zstd = {
  compress(plaintext) {
    const compressed = zstdCompressSync(plaintext);
    return compressed.length < plaintext.length ? compressed : null;
  },
  decompress(compressed, length) {
    try {
      // An upper bound keeps a forged length from filling the memory.
      const plaintext = zstdDecompressSync(compressed, { maxOutputLength: Math.max(length, 1) });
      return plaintext.length === length ? plaintext : null;
    } catch {
      return null;
    }
  },
};

/** What a zlib stream of Node holds: a handle whose `writeSync` leaves [output left, input left] in `_writeState`. */
interface Driven {
  readonly _handle?: {
    reset(): void;
    writeSync(flush: number, input: Uint8Array, at: number, length: number, ...out: [Uint8Array, number, number]): void;
  };
  readonly _writeState?: Uint32Array;
}

function createKeptZstd(): Zstd | null {
  const compressor = drive(createZstdCompress());
  let decompressor = drive(createZstdDecompress());
  if (compressor === null || decompressor === null) return null;
  let scratch = new Uint8Array(64 * 2 ** 10);

  function compress(plaintext: Uint8Array): Uint8Array | null {
    if (plaintext.length === 0) return null;
    // With room for the worst case zstd writes straight into the output.
    const room = plaintext.length + (plaintext.length >>> 7) + 1024;
    if (scratch.length < room) scratch = new Uint8Array(room * 2);
    const left = (compressor as Drive)(plaintext, scratch, room);
    if (left === null || left === 0) return publicZstd.compress(plaintext);
    return room - left < plaintext.length ? scratch.subarray(0, room - left) : null;
  }

  function decompress(compressed: Uint8Array, length: number): Uint8Array | null {
    const plaintext = Buffer.allocUnsafeSlow(length);
    // No room at all would end before the frame is known to end, too.
    const left = length === 0 ? null : (decompressor as Drive)(compressed, plaintext, length);
    if (left === 0) return plaintext;
    // Wrong bytes leave a context that is of no more use; whether they are wrong, the public function says.
    decompressor = drive(createZstdDecompress());
    return publicZstd.decompress(compressed, length);
  }

  return { compress, decompress };
}

/** Runs a whole input through; answers how much of the room was left over, null when the output did not fit. */
type Drive = (input: Uint8Array, out: Uint8Array, room: number) => number | null;

function drive(stream: ZstdCompress | ZstdDecompress): Drive | null {
  const { _handle: handle, _writeState: state } = stream as unknown as Driven;
  if (handle === undefined || state === undefined) return null;
  let failed = false;
  // Wrong bytes are reported by this event, of a stream that nobody reads.
  stream.on('error', () => {});
  const end = constants.ZSTD_e_end;
  return (input, out, room) => {
    if (failed || stream.destroyed) return null;
    try {
      handle.reset();
      handle.writeSync(end, input, 0, input.length, out, 0, room);
    } catch {
      failed = true;
      return null;
    }
    if (stream.destroyed || state[1] !== 0) return null;
    return state[0] as number;
  };
}

/** Whether two ways lead to the same, for a text, for noise, and for bytes that are no zstd. */
function worksLike(a: Zstd, b: Zstd): boolean {
  const samples = [Buffer.from('muster '.repeat(300)), randomFillSync(Buffer.alloc(300)), Buffer.from('x')];
  return [...samples, ...samples].every((sample) => {
    const compressed = a.compress(sample)?.slice() ?? null;
    const other = b.compress(sample);
    if (compressed === null || other === null) return compressed === other;
    const broken = other.slice(0, -3);
    return (
      equal(a.decompress(compressed, sample.length), sample) &&
      a.decompress(broken, sample.length) === null &&
      a.decompress(sample, 9) === null
    );
  });
}

function equal(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && Buffer.compare(a, b) === 0;
}
