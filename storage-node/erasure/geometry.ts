/** How data is cut into stripes and stripes into shard blocks. Fixed by the format: changing it needs a new format. */

/** Data bytes of one full stripe. */
export const stripeBytes = 1024 * 1024;

/** Sizes a set may have; data and parity shards are half each. */
export const setSizes = [4, 8, 12, 16] as const;

/** Every shard block is a multiple of this: the kernels work on four packets of 16 bytes. */
const blockAlignment = 64;

/** Bytes of each shard's block of a stripe that holds `dataBytes` (1..stripeBytes), padding included. */
export function shardBlockBytes(dataBytes: number, dataShards: number): number {
  const share = Math.ceil(dataBytes / dataShards);
  return Math.ceil(share / blockAlignment) * blockAlignment;
}

/** Number of stripes of data of this size; 0 for empty data. */
export function stripeCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / stripeBytes);
}

/** Data bytes in the stripe of this index. */
export function stripeDataBytes(sizeBytes: number, stripe: number): number {
  return Math.min(stripeBytes, sizeBytes - stripe * stripeBytes);
}

/** Payload bytes of one whole shard of data of this size. */
export function shardBytes(sizeBytes: number, dataShards: number): number {
  const stripes = stripeCount(sizeBytes);
  if (stripes === 0) return 0;
  const full = (stripes - 1) * shardBlockBytes(stripeBytes, dataShards);
  return full + shardBlockBytes(stripeDataBytes(sizeBytes, stripes - 1), dataShards);
}
