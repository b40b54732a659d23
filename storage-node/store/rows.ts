import { crc32 } from 'node:zlib';
import { type Ballot, writeBallot } from '../consensus/ballot.ts';
import { StorageError } from '../errors.ts';
import { asBuffer } from './bytes.ts';
import { bucketIdBytes, type DataId, dataIdBytes, type IndexKey, type Register } from './drive-api.ts';

/** A register as it lies in the index. */
export interface RegisterRow extends Register {
  headData: DataId | undefined;
  /** Data that may go once this ballot (or a newer one) is decided. */
  frees: DataId[];
  /** Values accepted before, kept until this one is decided; newest first. */
  older: OlderRow[];
}
export type OlderRow = Omit<RegisterRow, 'frees' | 'older'>;

const bits = { decided: 1, tombstone: 2, hidden: 4, head: 8, frees: 16, older: 32 } as const;
const flagsAt = 8;
const restAt = 9;
const checkBytes = 4;

/**
 * Ballot (8), flags (1), [head (16)], [count (2), frees (16 each)], [count (1), older rows (length (4), row)], state,
 * CRC-32 of all this (4).
 */
export function encodeRegister(row: RegisterRow): Buffer {
  const headBytes = row.headData === undefined ? 0 : dataIdBytes;
  const freesBytes = row.frees.length === 0 ? 0 : 2 + row.frees.length * dataIdBytes;
  const older = row.older.map((one) => encodeRegister({ ...one, frees: [], older: [] }));
  const olderBytes = older.length === 0 ? 0 : older.reduce((sum, { length }) => sum + 4 + length, 1);
  const bytes = Buffer.allocUnsafe(restAt + headBytes + freesBytes + olderBytes + row.state.length + checkBytes);
  writeBallot(bytes, 0, row.ballot);
  bytes[flagsAt] =
    (row.decided ? bits.decided : 0) |
    (row.tombstone ? bits.tombstone : 0) |
    (row.hidden ? bits.hidden : 0) |
    (headBytes > 0 ? bits.head : 0) |
    (freesBytes > 0 ? bits.frees : 0) |
    (olderBytes > 0 ? bits.older : 0);
  let at = restAt;
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
  if (olderBytes > 0) bytes[at++] = older.length;
  for (const one of older) {
    bytes.writeUInt32BE(one.length, at);
    bytes.set(one, at + 4);
    at += 4 + one.length;
  }
  bytes.set(row.state, at);
  const checkAt = bytes.length - checkBytes;
  bytes.writeUInt32LE(crc32(bytes.subarray(0, checkAt)), checkAt);
  return bytes;
}

/** What the CRC-32 of anything and of its own CRC-32 behind it (little-endian) always is. */
const wholeCrc = 0x2144_df1c;

/** Whether a row is what was once written. The index has no checksums of its own; a rotten row must not be believed. */
export function isWhole(row: Buffer): boolean {
  return row.length >= restAt + checkBytes && crc32(row) === wholeCrc;
}

/** What a listing needs first: the state is not looked at. */
export interface RegisterHead {
  ballot: Ballot;
  decided: boolean;
  tombstone: boolean;
  hidden: boolean;
}

/** @throws StorageError Corrupt when the row is not what was once written. */
export function decodeHead(row: Buffer): RegisterHead {
  if (!isWhole(row)) throw new StorageError('Corrupt', 'a register of this drive has rotted');
  const flags = row[flagsAt]!;
  return {
    ballot: ballotIn(row),
    decided: (flags & bits.decided) !== 0,
    tombstone: (flags & bits.tombstone) !== 0,
    hidden: (flags & bits.hidden) !== 0,
  };
}

/** Whether a row says by itself that its ballot was decided; its check is not looked at. */
export function isMarked(row: Buffer): boolean {
  return row.length > flagsAt && (row[flagsAt]! & bits.decided) !== 0;
}

/** Whether frees wait for the decision of the row's ballot. */
export function hasFrees(row: Buffer): boolean {
  return row.length > flagsAt && (row[flagsAt]! & bits.frees) !== 0;
}

/** Where the row's state begins; it ends at `stateEndIn`. */
export function stateStartIn(row: Buffer): number {
  const flags = row[flagsAt]!;
  let at = restAt + ((flags & bits.head) === 0 ? 0 : dataIdBytes);
  if ((flags & bits.frees) !== 0) at += 2 + row.readUInt16BE(at) * dataIdBytes;
  if ((flags & bits.older) !== 0) for (let left = row[at++]!; left > 0; left--) at += 4 + row.readUInt32BE(at);
  return at;
}

export function stateEndIn(row: Buffer): number {
  return row.length - checkBytes;
}

/** A copy of the row's state. */
export function copyState(row: Buffer): Buffer {
  return Buffer.from(row.subarray(stateStartIn(row), stateEndIn(row)));
}

/** Ids and state are views of the row. @throws StorageError Corrupt, as `decodeHead`. */
export function decodeRegister(row: Buffer): RegisterRow {
  const { ballot, decided, tombstone, hidden } = decodeHead(row);
  const flags = row[flagsAt]!;
  let at = restAt;
  let headData: DataId | undefined;
  if ((flags & bits.head) !== 0) {
    headData = row.subarray(at, at + dataIdBytes);
    at += dataIdBytes;
  }
  const frees: DataId[] = [];
  if ((flags & bits.frees) !== 0) {
    const count = row.readUInt16BE(at);
    at += 2;
    for (let i = 0; i < count; i++, at += dataIdBytes) frees.push(row.subarray(at, at + dataIdBytes));
  }
  const older: OlderRow[] = [];
  if ((flags & bits.older) !== 0) {
    for (let left = row[at++]!; left > 0; left--) {
      const length = row.readUInt32BE(at);
      older.push(decodeRegister(row.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
  }
  const state = row.subarray(at, row.length - checkBytes);
  return { ballot, decided, tombstone, hidden, headData, frees, older, state };
}

/** The ballot as it stands in a row, even in a rotten one. */
export function ballotIn(row: Buffer): Ballot {
  return row.length < 8 ? 0 : row.readUInt32BE(0) * 0x1_0000_0000 + row.readUInt32BE(4);
}

/** Key of a log row: bucket id, ballot. */
export function logKey(bucketId: Uint8Array, ballot: Ballot): Buffer {
  const key = Buffer.allocUnsafe(bucketIdBytes + 8);
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

/** `note` is a view of the value. */
export function decodeLog(
  bucketId: Uint8Array,
  value: Uint8Array,
): { key: IndexKey; note: Uint8Array; decided: boolean } {
  const noteBytes = asBuffer(value).readUInt16BE(1);
  const name = value.subarray(3 + noteBytes);
  return {
    decided: value[0] === 1,
    note: value.subarray(3, 3 + noteBytes),
    key: Buffer.concat([bucketId.subarray(0, bucketIdBytes), name]),
  };
}
