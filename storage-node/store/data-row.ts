import { blockHeaderBytes, wideBytes, wideHeaderBytes } from './block.ts';

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
  /** Its blocks lie on pages (`wideBlockBytes`). */
  wide: boolean;
  blockBytes: number;
  lastBlockBytes: number;
  extents: Extent[];
}

const smallBit = 0x80;
const wideBit = 0x40;
const smallRowBytes = 13;
const extentsAt = 9;
const extentBytes = 16;

/**
 * Small data: shard (1, highest bit set), length (4), segment (4), offset (4).
 * Other: shard (1, second bit set when wide), block bytes (4), last block bytes (4), extents: segment, offset, first block, blocks (4 each).
 */
export function encodeData(row: DataRow): Buffer {
  if (row.small) {
    const [extent] = row.extents;
    const bytes = Buffer.allocUnsafe(smallRowBytes);
    bytes[0] = row.shard | smallBit;
    bytes.writeUInt32BE(row.lastBlockBytes, 1);
    bytes.writeUInt32BE(extent!.segment, 5);
    bytes.writeUInt32BE(extent!.offset, 9);
    return bytes;
  }
  const bytes = Buffer.allocUnsafe(extentsAt + row.extents.length * extentBytes);
  bytes[0] = row.shard | (row.wide ? wideBit : 0);
  bytes.writeUInt32BE(row.blockBytes, 1);
  bytes.writeUInt32BE(row.lastBlockBytes, 5);
  row.extents.forEach((extent, i) => {
    const at = extentsAt + i * extentBytes;
    bytes.writeUInt32BE(extent.segment, at);
    bytes.writeUInt32BE(extent.offset, at + 4);
    bytes.writeUInt32BE(extent.firstBlock, at + 8);
    bytes.writeUInt32BE(extent.blocks, at + 12);
  });
  return bytes;
}

/** A row that rotted may say anything: the blocks it leads to then do not match what they are asked for. */
export function decodeData(bytes: Buffer): DataRow {
  if (bytes.length < extentsAt) {
    return { shard: 0, small: false, wide: false, blockBytes: 0, lastBlockBytes: 0, extents: [] };
  }
  if ((bytes[0]! & smallBit) !== 0 && bytes.length === smallRowBytes) {
    const length = bytes.readUInt32BE(1);
    const extent = { segment: bytes.readUInt32BE(5), offset: bytes.readUInt32BE(9), firstBlock: 0, blocks: 1 };
    return {
      shard: bytes[0]! & ~smallBit,
      small: true,
      wide: false,
      blockBytes: length,
      lastBlockBytes: length,
      extents: [extent],
    };
  }
  const extents: Extent[] = [];
  for (let at = extentsAt; at + extentBytes <= bytes.length; at += extentBytes) {
    extents.push({
      segment: bytes.readUInt32BE(at),
      offset: bytes.readUInt32BE(at + 4),
      firstBlock: bytes.readUInt32BE(at + 8),
      blocks: bytes.readUInt32BE(at + 12),
    });
  }
  return {
    shard: bytes[0]! & ~wideBit,
    small: false,
    wide: (bytes[0]! & wideBit) !== 0,
    blockBytes: bytes.readUInt32BE(1),
    lastBlockBytes: bytes.readUInt32BE(5),
    extents,
  };
}

export function blockCount(row: DataRow): number {
  const last = row.extents.at(-1);
  return last === undefined ? 0 : last.firstBlock + last.blocks;
}

/** Payload bytes of one block. */
export function blockLength(row: DataRow, index: number): number {
  return index === blockCount(row) - 1 ? row.lastBlockBytes : row.blockBytes;
}

/** Bytes before each payload. */
export function headBytes({ wide }: Pick<DataRow, 'wide'>): number {
  return wide ? wideHeaderBytes : blockHeaderBytes;
}

/** Bytes that a block with such a payload takes up, header and padding included. */
export function placeBytes({ wide }: Pick<DataRow, 'wide'>, payloadBytes: number): number {
  return wide ? wideBytes(payloadBytes) : blockHeaderBytes + payloadBytes;
}

/** Bytes of some blocks that lie side by side, headers included. */
export function spanBytes(row: DataRow, first: number, end: number): number {
  return (end - first - 1) * placeBytes(row, row.blockBytes) + placeBytes(row, blockLength(row, end - 1));
}

/** Bytes of an extent on disk, headers included. */
export function extentBytesOf(row: DataRow, extent: Extent): number {
  return extent.blocks === 0 ? 0 : spanBytes(row, extent.firstBlock, extent.firstBlock + extent.blocks);
}
