import { type Socket } from 'node:net';
import {
  frameKind,
  type FrameHeader,
  headerBytes,
  maxMessageBytes,
  moreFlag,
  pieceBytes,
  writeHeader,
} from './frame.ts';
import { WireWriter } from './wire.ts';

/** A message with a longer body leaves the batch of small ones and waits among the bulk. */
const largestSmallBytes = 128 * 1024;
const batchBytes = 64 * 1024;
/** A batch buffer that grew larger than this is not kept. */
const largestKeptBytes = 256 * 1024;
const blockBodyBytes = 12;
const empty = new Uint8Array(0);

/** Whose frame it is and what of it; the kind is said by the method that sends it. */
export interface Address {
  stream: number;
  method: number;
  drive: number;
}

/** A block of shard data on its way out. `release`: its memory may be used again. */
export interface OutgoingBlock {
  stream: number;
  index: number;
  checksum: bigint;
  payload: Uint8Array;
  release: () => void;
}

interface BulkItem {
  header: FrameHeader;
  /** Of a block only, with `checksum`. */
  index: number;
  checksum: bigint;
  bytes: Uint8Array;
  release: (() => void) | undefined;
}

/**
 * What a connection has to send. Everything said within one turn of the event loop leaves together; small messages
 * pass before bulk, which goes out a piece (at most 512 KiB) at a time.
 */
export class Outbox {
  /** Called when `queuedBytes` has fallen. */
  onProgress: (() => void) | undefined = undefined;
  readonly #socket: Socket;
  readonly #encrypted: boolean;
  #writer = new WireWriter(Buffer.allocUnsafeSlow(batchBytes));
  #spare: Buffer[] = [];
  #bulk: BulkItem[] = [];
  #bulkBytes = 0;
  #begunAt = 0;
  #begun: FrameHeader = { bodyBytes: 0, tailBytes: 0, stream: 0, kind: 0, flags: 0, method: 0, drive: 0 };
  #scheduled = false;
  #closed = false;

  constructor(socket: Socket, options: { encrypted: boolean }) {
    this.#socket = socket;
    this.#encrypted = options.encrypted;
  }

  /** Bytes not yet taken by the operating system. */
  get queuedBytes(): number {
    return this.#writer.at + this.#bulkBytes + this.#socket.writableLength;
  }

  /** Begins a message; the caller appends its body to the writer and calls `end`, or `undo` if that failed. */
  begin(kind: number, { stream, method, drive }: Address): WireWriter {
    const writer = this.#writer;
    this.#begunAt = writer.at;
    this.#begun = { bodyBytes: 0, tailBytes: 0, stream, kind, flags: 0, method, drive };
    writer.reserve(headerBytes);
    writer.at += headerBytes;
    return writer;
  }

  /** @throws RangeError for a message longer than any that is taken; `undo` it then. */
  end(): void {
    const header = this.#begun;
    header.bodyBytes = this.#writer.at - this.#begunAt - headerBytes;
    if (header.bodyBytes > maxMessageBytes) throw new RangeError(`a message of ${header.bodyBytes} bytes`);
    if (header.bodyBytes > largestSmallBytes) this.#moveToBulk(header);
    else writeHeader(this.#writer.buffer, this.#begunAt, header);
    this.#flushSoon();
  }

  undo(): void {
    this.#writer.at = this.#begunAt;
  }

  /** A message without a body. */
  signal(kind: number, address: Address): void {
    this.begin(kind, address);
    this.end();
  }

  /** Queues a block behind the bulk that is there; nothing is copied. */
  block({ stream, index, checksum, payload, release }: OutgoingBlock): void {
    if (this.#closed) return release();
    const header: FrameHeader = {
      bodyBytes: blockBodyBytes,
      tailBytes: payload.length,
      stream,
      kind: frameKind.block,
      flags: 0,
      method: 0,
      drive: 0,
    };
    this.#pushBulk({ header, index, checksum, bytes: payload, release });
  }

  /** A message without a body that may not pass the blocks queued before it. */
  signalAfterBlocks(kind: number, { stream, method, drive }: Address): void {
    const header: FrameHeader = { bodyBytes: 0, tailBytes: 0, stream, kind, flags: 0, method, drive };
    this.#pushBulk({ header, index: 0, checksum: 0n, bytes: empty, release: undefined });
  }

  /** Forgets the blocks of a stream that did not leave yet, and releases them. */
  dropBlocks(stream: number): void {
    const dropped: BulkItem[] = [];
    this.#bulk = this.#bulk.filter((item) => {
      const drop = item.header.stream === stream && item.header.kind === frameKind.block;
      if (drop) dropped.push(item);
      return !drop;
    });
    for (const item of dropped) {
      this.#bulkBytes -= item.bytes.length;
      item.release?.();
    }
  }

  /**
   * Sends nothing more. Blocks that wait are released now; those the system is writing are when it says so, because
   * their memory is still read until then.
   */
  close(): void {
    this.#closed = true;
    this.#writer.at = 0;
    const left = this.#bulk;
    this.#bulk = [];
    this.#bulkBytes = 0;
    for (const item of left) item.release?.();
  }

  /** Takes a long message out of the batch again, to be sent in pieces. */
  #moveToBulk(header: FrameHeader): void {
    const writer = this.#writer;
    const body = Buffer.from(writer.buffer.subarray(this.#begunAt + headerBytes, writer.at));
    writer.at = this.#begunAt;
    for (let from = 0; from < body.length; from += pieceBytes) {
      const bytes = body.subarray(from, from + pieceBytes);
      const flags = from + pieceBytes < body.length ? moreFlag : 0;
      const piece = { ...header, flags, bodyBytes: bytes.length };
      this.#pushBulk({ header: piece, index: 0, checksum: 0n, bytes, release: undefined });
    }
  }

  #pushBulk(item: BulkItem): void {
    this.#bulk.push(item);
    this.#bulkBytes += item.bytes.length;
    this.#flushSoon();
  }

  // After the poll phase: everything that this turn's events caused is there by then, for all sockets.
  #flushSoon(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  /** Hands over what there is while the system takes it. A second write would only be copied together with the first. */
  #pump(): void {
    while (!this.#closed && this.#socket.writableLength === 0) {
      const item = this.#bulk.shift();
      if (item !== undefined) this.#appendBulkHeader(item);
      if (this.#writer.at === 0) return;
      this.#send(item);
    }
  }

  #send(item: BulkItem | undefined): void {
    const socket = this.#socket;
    const batch = this.#writer.buffer;
    const bytes = batch.subarray(0, this.#writer.at);
    this.#writer = new WireWriter(this.#spare.pop() ?? Buffer.allocUnsafeSlow(batchBytes));
    if (item === undefined || item.bytes.length === 0) {
      item?.release?.();
      socket.write(bytes, () => this.#written(batch));
      return;
    }
    this.#bulkBytes -= item.bytes.length;
    // With TLS a corked pair would be copied into one buffer first; without, it saves a system call.
    if (!this.#encrypted) socket.cork();
    socket.write(bytes, () => this.#keep(batch));
    socket.write(item.bytes, () => {
      item.release?.();
      this.#written(undefined);
    });
    if (!this.#encrypted) socket.uncork();
  }

  #appendBulkHeader(item: BulkItem): void {
    const writer = this.#writer;
    writer.reserve(headerBytes + blockBodyBytes);
    writeHeader(writer.buffer, writer.at, item.header);
    writer.at += headerBytes;
    if (item.header.kind !== frameKind.block) return;
    writer.buffer.writeUInt32LE(item.index, writer.at);
    writer.buffer.writeBigUInt64LE(item.checksum, writer.at + 4);
    writer.at += blockBodyBytes;
  }

  #keep(batch: Buffer): void {
    if (batch.length <= largestKeptBytes && this.#spare.length < 2) this.#spare.push(batch);
  }

  #written(batch: Buffer | undefined): void {
    if (batch !== undefined) this.#keep(batch);
    this.#pump();
    this.onProgress?.();
  }
}
