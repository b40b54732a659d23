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
