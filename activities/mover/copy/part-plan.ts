import { type ByteRange } from '../../objects/types.ts';

const mebibyte = 1024 * 1024;
/**
 * Large enough that a request's cost is lost in it, small enough that a few of them fit in memory: S3 wants a part's
 * checksum before its bytes.
 */
export const usualPartBytes = 16 * mebibyte;

/** What a store takes: see `Supports`. */
export interface PartLimits {
  minPartBytes: number;
  maxPutBytes: number;
  maxParts: number;
}

export interface PartPlan {
  sizeBytes: number;
  partSizeBytes: number;
  parts: number;
}

/**
 * How an object is cut: all parts but the last alike, grown in whole MiB until they fit the most parts a store takes.
 * Undefined when the store cannot hold so large an object.
 */
export function planParts(sizeBytes: number, limits: PartLimits, wantedBytes = usualPartBytes): PartPlan | undefined {
  const least = Math.ceil(sizeBytes / limits.maxParts / mebibyte) * mebibyte;
  const partSizeBytes = Math.min(Math.max(wantedBytes, limits.minPartBytes, least), limits.maxPutBytes);
  const parts = Math.max(1, Math.ceil(sizeBytes / partSizeBytes));
  return parts > limits.maxParts ? undefined : { sizeBytes, partSizeBytes, parts };
}

/** @param partNumber from 1 */
export function partRange(plan: PartPlan, partNumber: number): ByteRange & { last: number } {
  const first = (partNumber - 1) * plan.partSizeBytes;
  return { first, last: Math.min(plan.sizeBytes, first + plan.partSizeBytes) - 1 };
}
