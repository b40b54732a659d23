import { MusterError } from '../../../workflows/engine/errors.ts';

/** One entry of a tar archive as PostgreSQL writes it (ustar, names up to 99 bytes). */
export interface TarEntry {
  name: string;
  kind: 'file' | 'directory' | 'symlink';
  /** Permission bits. */
  mode: number;
  /** Unix seconds. */
  mtimeSeconds: number;
  size: number;
  linkTarget: string;
}

export interface TarSink {
  entry(entry: TarEntry): void;
  /** Data of the entry announced last, in pieces as they arrive. The buffer may be kept. */
  data(bytes: Buffer): void;
}

const BLOCK = 512;

/**
 * Takes an archive apart without copying it: PostgreSQL sends hundreds of megabytes a second here, in which a general
 * tar library spends most of its time on one stream per file.
 */
export class TarReader {
  readonly #sink: TarSink;
  #header: Buffer[] = [];
  #headerBytes = 0;
  #dataLeft = 0;
  #paddingLeft = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  feed(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      const rest = bytes.length - at;
      if (this.#dataLeft > 0) {
        const take = Math.min(rest, this.#dataLeft);
        this.#sink.data(bytes.subarray(at, at + take));
        this.#dataLeft -= take;
        at += take;
      } else if (this.#paddingLeft > 0) {
        const take = Math.min(rest, this.#paddingLeft);
        this.#paddingLeft -= take;
        at += take;
      } else {
        const take = Math.min(rest, BLOCK - this.#headerBytes);
        this.#collectHeader(bytes.subarray(at, at + take));
        at += take;
      }
    }
  }

  /** Throws when the archive stopped in the middle of an entry. */
  end(): void {
    if (this.#dataLeft > 0 || this.#headerBytes > 0) {
      throw new MusterError('DATABASE_UNREACHABLE', 'the archive ended in the middle of a file');
    }
  }

  #collectHeader(part: Buffer): void {
    this.#headerBytes += part.length;
    const isWhole = this.#headerBytes === BLOCK;
    // What it came in may be read into anew before the rest is there.
    this.#header.push(isWhole ? part : Buffer.from(part));
    if (!isWhole) return;
    const block = this.#header.length === 1 ? part : Buffer.concat(this.#header);
    this.#header = [];
    this.#headerBytes = 0;
    if (block[0] === 0) return; // the archive ends with blocks of zeros
    const entry = parseHeader(block);
    this.#dataLeft = entry.kind === 'file' ? entry.size : 0;
    this.#paddingLeft = (BLOCK - (this.#dataLeft % BLOCK)) % BLOCK;
    this.#sink.entry(entry);
  }
}

function parseHeader(block: Buffer): TarEntry {
  if (sumOf(block) !== parseInt(text(block, 148, 8), 8)) {
    throw new MusterError('DATABASE_UNREACHABLE', 'a header of the archive has a wrong checksum');
  }
  return {
    name: text(block, 0, 100),
    kind: kindOf(String.fromCharCode(block[156] ?? 0)),
    mode: (parseInt(text(block, 100, 8), 8) || 0) & 0o7777,
    mtimeSeconds: numberOf(block.subarray(136, 148)) || 0,
    size: numberOf(block.subarray(124, 136)),
    linkTarget: text(block, 157, 100),
  };
}

function kindOf(letter: string): TarEntry['kind'] {
  if (letter === '5') return 'directory';
  if (letter === '2') return 'symlink';
  if (letter === '0' || letter === '\0') return 'file';
  throw new MusterError('DATABASE_UNREACHABLE', `the archive holds an entry of unknown type ${letter}`);
}

/** Octal text, or big-endian binary when the first bit is set (sizes of 8 GiB and more). */
function numberOf(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) === 0) return parseInt(text(field, 0, 12), 8);
  return Number(field.readBigUInt64BE(4));
}

/** Sum of all bytes, the checksum's own eight counted as blanks. */
function sumOf(block: Buffer): number {
  let sum = 8 * 32;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  return sum;
}

function text(block: Buffer, from: number, length: number): string {
  const end = block.indexOf(0, from);
  return block.toString('utf8', from, end < 0 || end > from + length ? from + length : end).trim();
}
