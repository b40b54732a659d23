import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { codeOf } from '../repository/durable-write.ts';

/** Bytes to be stored, which may be read more than once. */
export interface WalContent {
  sizeBytes: number;
  read(): AsyncIterable<Buffer>;
}

const pieceBytes = 1 << 20;

export function bytesContent(bytes: Buffer): WalContent {
  return {
    sizeBytes: bytes.length,
    read: async function* () {
      yield bytes;
    },
  };
}

/** @throws MusterError SOURCE_UNREADABLE */
export async function fileContent(file: string): Promise<WalContent> {
  const { size } = await stat(file).catch((cause: unknown) => {
    throw new MusterError('SOURCE_UNREADABLE', `${file} cannot be read (${codeOf(cause)})`, { cause });
  });
  return { sizeBytes: size, read: () => readFilePieces(file) };
}

export function readFilePieces(file: string): AsyncIterable<Buffer> {
  return createReadStream(file, { highWaterMark: pieceBytes }) as AsyncIterable<Buffer>;
}

export async function readAll(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/** The first bytes, fewer when there are no more. */
export async function readHead(content: WalContent, bytes: number): Promise<Buffer> {
  let head = Buffer.alloc(0);
  for await (const piece of content.read()) {
    head = Buffer.concat([head, piece.subarray(0, bytes - head.length)]);
    if (head.length === bytes) break;
  }
  return head;
}

/** Whether two streams hold the same bytes, to their ends. */
export async function sameContent(one: AsyncIterable<Buffer>, other: AsyncIterable<Buffer>): Promise<boolean> {
  return sameStart(one, other, Number.POSITIVE_INFINITY);
}

/** Whether two streams begin with the same bytes; both must have that many, or end at the same place. */
export async function sameStart(
  one: AsyncIterable<Buffer>,
  other: AsyncIterable<Buffer>,
  bytes: number,
): Promise<boolean> {
  const [left, right] = [new Cursor(one), new Cursor(other)];
  try {
    for (let at = 0; at < bytes;) {
      const [a, b] = [await left.piece(), await right.piece()];
      if (a === null || b === null) return a === b;
      const length = Math.min(a.length, b.length, bytes - at);
      if (!a.subarray(0, length).equals(b.subarray(0, length))) return false;
      left.take(length);
      right.take(length);
      at += length;
    }
    return true;
  } finally {
    await left.close();
    await right.close();
  }
}

class Cursor {
  readonly #pieces: AsyncIterator<Buffer>;
  #piece: Buffer = Buffer.alloc(0);

  constructor(pieces: AsyncIterable<Buffer>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** What comes next, never empty; `null` at the end. */
  async piece(): Promise<Buffer | null> {
    while (this.#piece.length === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) return null;
      this.#piece = next.value;
    }
    return this.#piece;
  }

  take(bytes: number): void {
    this.#piece = this.#piece.subarray(bytes);
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}
