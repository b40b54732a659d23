import { crc32 } from 'node:zlib';
import { type DataId } from './drive-api.ts';

/**
 * The seed of a block's checksum: data id, shard and place in the shard. A block that lies where another belongs, on the
 * wrong drive, or under the wrong name does not match, even if none of its bits is wrong.
 */
export function blockSeed(dataId: DataId, shard: number, index: number): bigint {
  const view = new DataView(dataId.buffer, dataId.byteOffset, dataId.byteLength);
  const place = (BigInt(shard + 1) << 48n) ^ BigInt(index);
  return view.getBigUint64(0) ^ BigInt.asUintN(64, view.getBigUint64(8) * 0x9e37_79b9_7f4a_7c15n) ^ place;
}

/** Bytes before each block on disk. */
export const blockHeaderBytes = 48;
/** Blocks at least this long are wide: they lie on pages of their file, so that they are written past the page cache. */
export const wideBlockBytes = 64 * 1024;
/** Room for the header before a wide block's payload. */
export const wideHeaderBytes = 64;
/** What a wide block begins and ends on in its file: a page, which is a block of every common file system. */
export const filePageBytes = 4096;
/** What its memory must begin on: a sector. */
export const sectorBytes = 512;

/** Bytes of a wide block in memory and on disk, with header and padding. */
export function wideBytes(payloadBytes: number): number {
  return Math.ceil((wideHeaderBytes + payloadBytes) / filePageBytes) * filePageBytes;
}

const magic = 0x4d53_4231;
const version = 1;
const checkedBytes = 40;

/** What a block on disk says of itself. */
export interface BlockHeader {
  dataId: DataId;
  shard: number;
  index: number;
  length: number;
  checksum: bigint;
}

/** Magic (4), version (1), shard (1), 0 (2), index (4), length (4), data id (16), XXH64 (8), CRC-32 of these 40, 0 (4). */
export function encodeBlockHeader(header: BlockHeader, into?: Buffer): Buffer {
  const bytes = into ?? Buffer.allocUnsafe(blockHeaderBytes);
  bytes.writeUInt32BE(magic, 0);
  bytes.writeUInt32BE((version << 24) | (header.shard << 16), 4);
  bytes.writeUInt32BE(header.index, 8);
  bytes.writeUInt32BE(header.length, 12);
  bytes.set(header.dataId, 16);
  bytes.writeBigUInt64BE(header.checksum, 32);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, checkedBytes)), checkedBytes);
  bytes.writeUInt32BE(0, checkedBytes + 4);
  return bytes;
}

/** Undefined for bytes that are no header, or one that was damaged. */
export function decodeBlockHeader(bytes: Uint8Array): BlockHeader | undefined {
  if (bytes.length < blockHeaderBytes) return undefined;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, blockHeaderBytes);
  if (view.readUInt32BE(0) !== magic || view.readUInt8(4) !== version) return undefined;
  if (view.readUInt32BE(checkedBytes) !== crc32(view.subarray(0, checkedBytes))) return undefined;
  return {
    dataId: Buffer.from(view.subarray(16, 32)),
    shard: view.readUInt8(5),
    index: view.readUInt32BE(8),
    length: view.readUInt32BE(12),
    checksum: view.readBigUInt64BE(32),
  };
}

/**
 * The checksum a block was stored with, when its header names exactly this block; undefined otherwise. The header's own
 * CRC is not looked at: whoever uses the payload compares it with the checksum, and a damaged one does not match.
 */
export function storedChecksum(bytes: Buffer, wanted: Omit<BlockHeader, 'checksum'>): bigint | undefined {
  const right =
    bytes.readUInt32BE(0) === magic &&
    bytes.readUInt32BE(4) === ((version << 24) | (wanted.shard << 16)) &&
    bytes.readUInt32BE(8) === wanted.index &&
    bytes.readUInt32BE(12) === wanted.length &&
    bytes.compare(wanted.dataId, 0, 16, 16, 32) === 0;
  return right ? bytes.readBigUInt64BE(32) : undefined;
}
