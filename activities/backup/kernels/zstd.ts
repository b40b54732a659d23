import {
  constants,
  createZstdCompress,
  createZstdDecompress,
  zstdCompressSync,
  zstdDecompressSync,
  type ZstdCompress,
  type ZstdDecompress,
} from 'node:zlib';
import { contentSizeOfFrame } from './zstd-frame.ts';

/** zstd for one piece after the other; belongs to one thread. */
export interface Zstd {
  /**
   * One frame, good until the next call; null when it would not be smaller than the plaintext, and for large pieces
   * already when samples of them do not get smaller.
   */
  compress(plaintext: Uint8Array): Uint8Array | null;
  /** Fills `out` to its last byte; false when these are not zstd or have another length, and then `out` is undefined. */
  decompressInto(compressed: Uint8Array, out: Uint8Array): boolean;
  /** The same, into a buffer of its own; null instead of false. Nothing takes more memory than `length` asks for. */
  decompress(compressed: Uint8Array, length: number): Uint8Array | null;
}

export interface ZstdOptions {
  /** As zstd counts: 1 to 22, or below -1 for less than 1. Default 3. */
  readonly level?: number;
}

/** What zstd does at worst, and more than that: then it writes straight into the output. */
const roomFor = (length: number): number => length + (length >>> 7) + 1024;

/**
 * The synchronous functions of zlib make a zstd context for each call and throw it away: 15 to 35 µs, for most files
 * more than it takes to compress them. So contexts are kept and driven the way those functions do it. That way is no
 * public interface, so it is tried out first, and the public functions do the work where it is not there.
 */
export function createZstd({ level = 3 }: ZstdOptions = {}): Zstd {
  const compressKept = keptCompressor(level);
  const compressSample = keptCompressor(1);
  const decompressKept = keptDecompressor();
  let scratch = new Uint8Array(roomFor(128 * 1024));

  function compress(plaintext: Uint8Array): Uint8Array | null {
    const { length } = plaintext;
    if (length === 0 || !isWorthwhile(plaintext, compressSample)) return null;
    if (scratch.length < roomFor(length)) scratch = new Uint8Array(roomFor(length) + length / 4);
    const size = compressKept(plaintext, scratch.subarray(0, roomFor(length)));
    if (size !== null) return size < length ? scratch.subarray(0, size) : null;
    const compressed = compressPublicly(plaintext, level);
    return compressed.length < length ? compressed : null;
  }

  function decompressInto(compressed: Uint8Array, out: Uint8Array): boolean {
    // Only a frame that promises this very length leaves the kept context at its end.
    if (out.length > 0 && contentSizeOfFrame(compressed) === out.length) {
      const size = decompressKept(compressed, out);
      if (size !== null) return size === out.length;
    }
    return decompressPublicly(compressed, out);
  }

  function decompress(compressed: Uint8Array, length: number): Uint8Array | null {
    const out = Buffer.allocUnsafeSlow(length);
    return decompressInto(compressed, out) ? out : null;
  }

  return { compress, decompressInto, decompress };
}

/** From this size on samples are worth their time: 20 µs, where finding out by compressing all of it takes 300. */
const sampledBytes = 256 * 1024;
const sampleCount = 8;
const sampleBytes = 2048;
const enough = 0.98;

/** Whether one of some samples gets smaller; the first that does ends it. */
function isWorthwhile(plaintext: Uint8Array, compressSample: Drive): boolean {
  if (plaintext.length < sampledBytes) return true;
  const out = sampleRoom;
  for (let i = 0; i < sampleCount; i += 1) {
    const at = Math.floor((i / (sampleCount - 1)) * (plaintext.length - sampleBytes));
    const size = compressSample(plaintext.subarray(at, at + sampleBytes), out);
    if (size === null || size < sampleBytes * enough) return true;
  }
  return false;
}

const sampleRoom = new Uint8Array(roomFor(sampleBytes));

const parametersOf = (level: number): { params: Record<number, number> } => ({
  params: { [constants.ZSTD_c_compressionLevel]: level },
});

function compressPublicly(plaintext: Uint8Array, level: number): Uint8Array {
  // With room for all of it zstd writes straight into the output here, too.
  return zstdCompressSync(plaintext, { ...parametersOf(level), chunkSize: roomFor(plaintext.length) });
}

function decompressPublicly(compressed: Uint8Array, out: Uint8Array): boolean {
  try {
    const plaintext = zstdDecompressSync(compressed, {
      chunkSize: Math.max(out.length, 64),
      maxOutputLength: Math.max(out.length, 1),
    });
    out.set(plaintext);
    return plaintext.length === out.length;
  } catch {
    return false;
  }
}

/** Runs a whole input through. @returns bytes written; null when it did not come to its end, or could not be tried */
type Drive = (input: Uint8Array, out: Uint8Array) => number | null;

function keptCompressor(level: number): Drive {
  return kept(
    () => createZstdCompress(parametersOf(level)),
    (drive) => {
      const sample = Buffer.from('muster '.repeat(300));
      const out = new Uint8Array(roomFor(sample.length));
      // A second frame shows that the first has ended.
      return [sample, sample, sample.subarray(5)].every((plaintext) => {
        const size = drive(plaintext, out);
        const back = new Uint8Array(plaintext.length);
        return size !== null && decompressPublicly(out.slice(0, size), back) && Buffer.compare(back, plaintext) === 0;
      });
    },
  );
}

function keptDecompressor(): Drive {
  return kept(createZstdDecompress, (drive) => {
    const sample = Buffer.from('muster '.repeat(300));
    const compressed = compressPublicly(sample, 3);
    const out = new Uint8Array(sample.length);
    return [compressed, compressed].every((input) => {
      out.fill(0);
      return drive(input, out) === sample.length && Buffer.compare(out, sample) === 0;
    });
  });
}

/** Keeps one stream, and another after anything that it did not bring to its end; none that does not pass `works`. */
function kept(create: () => ZstdCompress | ZstdDecompress, works: (drive: Drive) => boolean): Drive {
  let drive = driveOf(create());
  if (!works((input, out) => drive?.(input, out) ?? null)) return () => null;
  return (input, out) => {
    drive ??= driveOf(create());
    const size = drive?.(input, out) ?? null;
    if (size === null) drive = null;
    return size;
  };
}

/** What a zlib stream of Node holds: a handle whose `writeSync` leaves [output left, input left] in `_writeState`. */
interface Driven {
  readonly _handle?: {
    writeSync(flush: number, input: Uint8Array, at: number, length: number, ...out: [Uint8Array, number, number]): void;
  };
  readonly _writeState?: Uint32Array;
}

function driveOf(stream: ZstdCompress | ZstdDecompress): Drive | null {
  const { _handle: handle, _writeState: state } = stream as unknown as Driven;
  if (handle === undefined || state === undefined) return null;
  // Wrong bytes are reported by this event, of a stream that nobody reads.
  stream.on('error', () => undefined);
  const end = constants.ZSTD_e_end;
  return (input, out) => {
    try {
      handle.writeSync(end, input, 0, input.length, out, 0, out.length);
    } catch {
      return null;
    }
    const [outputLeft, inputLeft] = state as unknown as [number, number];
    return stream.destroyed || inputLeft !== 0 ? null : out.length - outputLeft;
  };
}
