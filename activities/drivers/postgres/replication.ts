import type { Socket } from 'node:net';
import { MusterError } from '../../../workflows/engine/errors.ts';

/**
 * The few messages of PostgreSQL's protocol that base backups and WAL streams need, read straight from the socket:
 * pieces of COPY data are handed on as they arrive, without being put together first.
 */
export type BackendPiece =
  | { kind: 'row'; columns: (string | null)[] }
  /** COPY data follows; with `both` the server takes some as well. */
  | { kind: 'copy-begin'; both: boolean }
  /** Part of one CopyData message; `first` and `last` mark the message's ends. */
  | { kind: 'copy'; bytes: Buffer; first: boolean; last: boolean }
  | { kind: 'copy-done' }
  /** What the server remarks without giving up. */
  | { kind: 'notice'; text: string }
  | { kind: 'ready' };

const COPY_DATA = 0x64; // 'd'
const HEADER_BYTES = 5;

/**
 * Cuts a byte stream into messages. `feed` returns what the chunk completed, COPY data as views of the chunk; of the chunk
 * itself nothing is kept. Throws on an ErrorResponse; what came behind that is handed out by the next `feed`, be it of an
 * empty chunk.
 */
export class BackendReader {
  #kept: Buffer = Buffer.alloc(0);
  #copyLeft = 0;

  *feed(chunk: Buffer): Generator<BackendPiece> {
    let bytes = this.#kept.length > 0 ? Buffer.concat([this.#kept, chunk]) : chunk;
    this.#kept = Buffer.alloc(0);
    while (bytes.length > 0) {
      if (this.#copyLeft > 0) {
        const part = bytes.subarray(0, this.#copyLeft);
        this.#copyLeft -= part.length;
        bytes = bytes.subarray(part.length);
        yield { kind: 'copy', bytes: part, first: false, last: this.#copyLeft === 0 };
        continue;
      }
      const whole = this.#wholeMessage(bytes);
      if (whole === null) break;
      bytes = bytes.subarray(whole.length);
      if (whole.piece instanceof ServerComplaint) {
        this.#kept = Buffer.from(bytes);
        throw whole.piece;
      }
      if (whole.piece !== null) yield whole.piece;
    }
    if (bytes.length > 0) this.#kept = Buffer.from(bytes);
  }

  #wholeMessage(bytes: Buffer): { length: number; piece: BackendPiece | ServerComplaint | null } | null {
    if (bytes.length < HEADER_BYTES + 1) {
      const bodyless = bytes.length === HEADER_BYTES && bytes.readUInt32BE(1) === 4;
      return bodyless ? { length: HEADER_BYTES, piece: pieceOf(bytes[0] ?? 0, Buffer.alloc(0)) } : null;
    }
    const end = 1 + bytes.readUInt32BE(1);
    if (bytes[0] === COPY_DATA) {
      const part = bytes.subarray(HEADER_BYTES, end);
      this.#copyLeft = end - HEADER_BYTES - part.length;
      const piece = { kind: 'copy', bytes: part, first: true, last: this.#copyLeft === 0 } as const;
      return { length: HEADER_BYTES + part.length, piece };
    }
    if (bytes.length < end) return null;
    return { length: end, piece: pieceOf(bytes[0] ?? 0, bytes.subarray(HEADER_BYTES, end)) };
  }
}

function pieceOf(type: number, body: Buffer): BackendPiece | ServerComplaint | null {
  switch (String.fromCharCode(type)) {
    case 'D':
      return { kind: 'row', columns: columnsOf(body) };
    case 'H':
      return { kind: 'copy-begin', both: false };
    case 'W':
      return { kind: 'copy-begin', both: true };
    case 'c':
      return { kind: 'copy-done' };
    case 'N':
      return { kind: 'notice', text: complaintOf(body).message };
    case 'Z':
      return { kind: 'ready' };
    case 'E':
      return complaintOf(body);
    default:
      return null;
  }
}

function columnsOf(body: Buffer): (string | null)[] {
  const columns: (string | null)[] = [];
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    columns.push(length < 0 ? null : body.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return columns;
}

/** What the server says, as an error with its SQLSTATE. */
export class ServerComplaint extends MusterError {
  readonly sqlState: string | null;
  constructor(text: string, sqlState: string | null) {
    super('DATABASE_UNREACHABLE', `${text} (${sqlState ?? 'no code'})`);
    this.sqlState = sqlState;
  }
}

function complaintOf(body: Buffer): ServerComplaint {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .filter((field) => field.length > 0)
      .map((field) => [field.charAt(0), field.slice(1)] as const),
  );
  return new ServerComplaint(fields.get('M') ?? 'unknown error', fields.get('C') ?? null);
}

/** Sends a command of the replication protocol. */
export function sendCommand(socket: Socket, text: string): void {
  socket.write(messageOf('Q', Buffer.from(`${text}\0`, 'utf8')));
}

/** Sends one message of COPY data. */
export function sendCopyData(socket: Socket, bytes: Buffer): void {
  socket.write(messageOf('d', bytes));
}

/** Says that no more COPY data will be sent. */
export function sendCopyDone(socket: Socket): void {
  socket.write(messageOf('c', Buffer.alloc(0)));
}

function messageOf(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** Every piece of the answer up to `ready`. Ends with an error when nothing arrives for `stallMs`. */
export async function* readAnswer(socket: Socket, stallMs: number): AsyncGenerator<BackendPiece> {
  const reader = new BackendReader();
  const stalled = (): void => {
    socket.destroy(new MusterError('DATABASE_UNREACHABLE', `nothing arrived for ${Math.round(stallMs / 1000)} s`));
  };
  socket.setTimeout(stallMs, stalled);
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      for (const piece of reader.feed(chunk)) {
        yield piece;
        if (piece.kind === 'ready') return;
      }
    }
  } finally {
    socket.setTimeout(0);
    socket.destroy();
  }
  throw new MusterError('DATABASE_UNREACHABLE', 'the connection ended in the middle of the answer');
}
