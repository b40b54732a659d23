/**
 * The frame: what travels between nodes. A header of 16 bytes, a body (what a message says, in the form of
 * `wire.ts`), and for a block of shard data a tail of raw bytes. Little-endian, as the machines are.
 *
 *   0  u32  bytes of the body          8  u32  stream: which call the frame belongs to
 *   4  u32  bytes of the tail         12  u8 kind, u8 flags, u8 method, u8 drive number
 */
export const headerBytes = 16;

/** What a frame is. Numbers are the protocol: they may be added to, never changed. */
export const frameKind = {
  hello: 1,
  call: 2,
  reply: 3,
  error: 4,
  cancel: 5,
  oneWay: 6,
  /** A block of shard data, of a stage (towards the drive) or of an answer (from it). */
  block: 7,
  /** Room for so many more bytes of a stage. */
  credit: 8,
  /** No more blocks of a stage. */
  finish: 9,
  ping: 10,
  pong: 11,
  /** No new calls on this connection: the server is stopping. */
  goodbye: 12,
} as const;

/** Flag: the message goes on in the next frame of this stream and kind. */
export const moreFlag = 1;

/** A message longer than this is sent in pieces of this size, so that small ones pass between them. */
export const pieceBytes = 512 * 1024;
/** Largest body of one frame. */
export const maxBodyBytes = 2 * pieceBytes;
/** Largest tail: a shard block of the smallest set is half a stripe. */
export const maxTailBytes = 1024 * 1024;
/** Largest body before a tail. */
export const maxBlockBodyBytes = 64;
/** Largest message, put together from its pieces. */
export const maxMessageBytes = 64 * 1024 * 1024;
/** Largest body before the handshake is done. */
export const maxHelloBytes = 4096;

export interface FrameHeader {
  bodyBytes: number;
  tailBytes: number;
  stream: number;
  kind: number;
  flags: number;
  method: number;
  drive: number;
}

/** Memory for a tail: a slab of the arena, or plain memory where no kernel will look at it. */
export interface TailMemory {
  /** At least as long as asked for. */
  readonly bytes: Uint8Array;
  /** The memory around `bytes`, as `StageBlock` wants it. */
  readonly place?: Uint8Array | undefined;
  release(): void;
}
export type TakeTail = (size: number) => TailMemory;

/** A frame as it arrived. `body` is the receiver's own; `tail` must be released by whoever handles the frame. */
export interface Frame extends FrameHeader {
  body: Buffer;
  tail: TailMemory | undefined;
}

/** The peer sent what no peer of this protocol sends; the connection ends. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export function writeHeader(target: Buffer, at: number, header: FrameHeader): void {
  target.writeUInt32LE(header.bodyBytes, at);
  target.writeUInt32LE(header.tailBytes, at + 4);
  target.writeUInt32LE(header.stream, at + 8);
  target[at + 12] = header.kind;
  target[at + 13] = header.flags;
  target[at + 14] = header.method;
  target[at + 15] = header.drive;
}

/** @throws FrameError for sizes no frame has. `bodyLimit`: the largest body expected now. */
export function readHeader(source: Buffer, at: number, bodyLimit: number): FrameHeader {
  const header = {
    bodyBytes: source.readUInt32LE(at),
    tailBytes: source.readUInt32LE(at + 4),
    stream: source.readUInt32LE(at + 8),
    kind: source[at + 12]!,
    flags: source[at + 13]!,
    method: source[at + 14]!,
    drive: source[at + 15]!,
  };
  const isBlock = header.kind === frameKind.block;
  const largestBody = isBlock ? Math.min(bodyLimit, maxBlockBodyBytes) : bodyLimit;
  if (header.kind < frameKind.hello || header.kind > frameKind.goodbye || header.flags > moreFlag) {
    throw new FrameError(`not a frame: kind ${header.kind}, flags ${header.flags}`);
  }
  if (header.bodyBytes > largestBody) {
    throw new FrameError(`a frame's body of ${header.bodyBytes} bytes, at most ${largestBody} are taken`);
  }
  if (header.tailBytes > maxTailBytes || (!isBlock && header.tailBytes > 0)) {
    throw new FrameError(`a tail of ${header.tailBytes} bytes on a frame of kind ${header.kind}`);
  }
  return header;
}
