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
const magic = 0x4d53_4231;

/** What a block on disk says of itself. */
export interface BlockHeader {
  dataId: DataId;
  shard: number;
  index: number;
  length: number;
  checksum: bigint;
}

export function encodeBlockHeader(header: BlockHeader): Buffer {
  const bytes = Buffer.alloc(blockHeaderBytes);
  bytes.writeUInt32BE(magic, 0);
  bytes.writeUInt8(1, 4);
  bytes.writeUInt8(header.shard, 5);
  bytes.writeUInt32BE(header.index, 8);
  bytes.writeUInt32BE(header.length, 12);
  bytes.set(header.dataId, 16);
  bytes.writeBigUInt64BE(header.checksum, 32);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 40)), 40);
  return bytes;
}

/** Undefined for bytes that are no header, or one that was damaged. */
export function decodeBlockHeader(bytes: Uint8Array): BlockHeader | undefined {
  if (bytes.length < blockHeaderBytes) return undefined;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, blockHeaderBytes);
  if (view.readUInt32BE(0) !== magic || view.readUInt8(4) !== 1) return undefined;
  if (view.readUInt32BE(40) !== crc32(view.subarray(0, 40))) return undefined;
  return {
    dataId: Buffer.from(view.subarray(16, 32)),
    shard: view.readUInt8(5),
    index: view.readUInt32BE(8),
    length: view.readUInt32BE(12),
    checksum: view.readBigUInt64BE(32),
  };
}
