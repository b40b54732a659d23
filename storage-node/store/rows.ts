import { readBallot, type Ballot, writeBallot } from '../consensus/ballot.ts';
import { bucketIdBytes, type DataId, dataIdBytes, type IndexKey, type Register } from './drive-api.ts';

/** A register as it lies in the index. */
export interface RegisterRow extends Register {
  headData: DataId | undefined;
  /** Data that may go once this ballot (or a newer one) is decided. */
  frees: DataId[];
}

const bits = { decided: 1, tombstone: 2, hidden: 4, head: 8, frees: 16 } as const;

/** Ballot (8), flags (1), [head (16)], [count (2), frees (16 each)], state. */
export function encodeRegister(row: RegisterRow): Buffer {
  const headBytes = row.headData === undefined ? 0 : dataIdBytes;
  const freesBytes = row.frees.length === 0 ? 0 : 2 + row.frees.length * dataIdBytes;
  const bytes = Buffer.allocUnsafe(9 + headBytes + freesBytes + row.state.length);
  writeBallot(bytes, 0, row.ballot);
  bytes[8] =
    (row.decided ? bits.decided : 0) |
    (row.tombstone ? bits.tombstone : 0) |
    (row.hidden ? bits.hidden : 0) |
    (headBytes > 0 ? bits.head : 0) |
    (freesBytes > 0 ? bits.frees : 0);
  let at = 9;
  if (row.headData !== undefined) {
    bytes.set(row.headData, at);
    at += dataIdBytes;
  }
  if (freesBytes > 0) {
    bytes.writeUInt16BE(row.frees.length, at);
    at += 2;
    for (const id of row.frees) {
      bytes.set(id, at);
      at += dataIdBytes;
    }
  }
  bytes.set(row.state, at);
  return bytes;
}

/** `state` is a view of the row. */
export function decodeRegister(bytes: Uint8Array): RegisterRow {
  const flags = bytes[8]!;
  let at = 9;
  let headData: DataId | undefined;
  if ((flags & bits.head) !== 0) {
    headData = bytes.subarray(at, at + dataIdBytes);
    at += dataIdBytes;
  }
  const frees: DataId[] = [];
  if ((flags & bits.frees) !== 0) {
    const count = bytes[at]! * 256 + bytes[at + 1]!;
    at += 2;
    for (let i = 0; i < count; i++, at += dataIdBytes) frees.push(bytes.subarray(at, at + dataIdBytes));
  }
  return {
    ballot: readBallot(bytes, 0),
    decided: (flags & bits.decided) !== 0,
    tombstone: (flags & bits.tombstone) !== 0,
    hidden: (flags & bits.hidden) !== 0,
    headData,
    frees,
    state: bytes.subarray(at),
  };
}

/** Some blocks of a shard that lie side by side in a segment, each with its header. */
export interface Extent {
  segment: number;
  offset: number;
  firstBlock: number;
  blocks: number;
}

/** Where a shard lies. All blocks but the last are `blockBytes` long. */
export interface DataRow {
  shard: number;
  small: boolean;
  blockBytes: number;
  lastBlockBytes: number;
  extents: Extent[];
}

const extentBytes = 20;

/** Shard (1), small (1), block bytes (4), last block bytes (4), extents (20 each). */
export function encodeData(row: DataRow): Buffer {
  const bytes = Buffer.allocUnsafe(10 + row.extents.length * extentBytes);
  bytes[0] = row.shard;
  bytes[1] = row.small ? 1 : 0;
  bytes.writeUInt32BE(row.blockBytes, 2);
  bytes.writeUInt32BE(row.lastBlockBytes, 6);
  row.extents.forEach((extent, i) => {
    const at = 10 + i * extentBytes;
    bytes.writeUInt32BE(extent.segment, at);
    bytes.writeDoubleBE(extent.offset, at + 4);
    bytes.writeUInt32BE(extent.firstBlock, at + 12);
    bytes.writeUInt32BE(extent.blocks, at + 16);
  });
  return bytes;
}

export function decodeData(row: Uint8Array): DataRow {
  const bytes = Buffer.from(row.buffer, row.byteOffset, row.byteLength);
  const extents: Extent[] = [];
  for (let at = 10; at < bytes.length; at += extentBytes) {
    extents.push({
      segment: bytes.readUInt32BE(at),
      offset: bytes.readDoubleBE(at + 4),
      firstBlock: bytes.readUInt32BE(at + 12),
      blocks: bytes.readUInt32BE(at + 16),
    });
  }
  return {
    shard: bytes[0]!,
    small: bytes[1] === 1,
    blockBytes: bytes.readUInt32BE(2),
    lastBlockBytes: bytes.readUInt32BE(6),
    extents,
  };
}

export function blockCount(row: DataRow): number {
  return row.extents.reduce((sum, { blocks }) => sum + blocks, 0);
}

/** Payload bytes of one block. */
export function blockLength(row: DataRow, index: number): number {
  return index === blockCount(row) - 1 ? row.lastBlockBytes : row.blockBytes;
}

/** Key of a log row: bucket id, ballot. */
export function logKey(bucketId: Uint8Array, ballot: Ballot): Buffer {
  const key = Buffer.alloc(bucketIdBytes + 8);
  key.set(bucketId.subarray(0, bucketIdBytes));
  writeBallot(key, bucketIdBytes, ballot);
  return key;
}

/** Value of a log row: decided (1), length of the note (2), note, the register's key without its bucket id. */
export function encodeLog(row: { key: IndexKey; note: Uint8Array; decided: boolean }): Buffer {
  const name = row.key.subarray(bucketIdBytes);
  const bytes = Buffer.allocUnsafe(3 + row.note.length + name.length);
  bytes[0] = row.decided ? 1 : 0;
  bytes.writeUInt16BE(row.note.length, 1);
  bytes.set(row.note, 3);
  bytes.set(name, 3 + row.note.length);
  return bytes;
}

export function decodeLog(
  bucketId: Uint8Array,
  value: Uint8Array,
): { key: IndexKey; note: Uint8Array; decided: boolean } {
  const noteBytes = value[1]! * 256 + value[2]!;
  const name = value.subarray(3 + noteBytes);
  return {
    decided: value[0] === 1,
    note: value.subarray(3, 3 + noteBytes),
    key: Buffer.concat([bucketId.subarray(0, bucketIdBytes), name]),
  };
}

/** Bytes as a key of a Map. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
