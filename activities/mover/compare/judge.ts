import { compareChecksums } from '../../objects/checksum/values.ts';
import { type Checksums } from '../../objects/types.ts';

/** What one side is known to hold under a key. */
export interface Known {
  sizeBytes: number;
  /** Without quotes; '' when not known. */
  etag: string;
  lastModifiedMs?: number;
  checksums?: Checksums;
}

export type Sameness =
  | { kind: 'same'; by: 'etag' | 'checksum' | 'time' | 'size' | 'record' }
  | { kind: 'different'; by: 'size' | 'etag' | 'checksum' | 'time' }
  /** Same size, and nothing at hand that could be compared. */
  | { kind: 'unsure' };

/** What counts as the same. `content` is the default; the others trust less work and prove less. */
export type CompareBy =
  /** Checksums or ETags; what cannot be compared is unsure. */
  | 'content'
  /** Size, and the target not older than the source. */
  | 'time'
  | 'size';

/**
 * Compares by what two listings or heads say. ETags count as the MD5 they are only where both look like one, for a
 * multipart ETag depends on the size of the parts. Two that look like MD5 and differ are unsure, not different: with
 * KMS or customer keys an ETag of that look is none. Source: S3 API reference, object ETag.
 */
export function judgeSameness(source: Known, target: Known, by: CompareBy = 'content'): Sameness {
  if (source.sizeBytes !== target.sizeBytes) return { kind: 'different', by: 'size' };
  if (by === 'size') return { kind: 'same', by: 'size' };
  const checksum = compareChecksums(source.checksums ?? {}, target.checksums ?? {});
  if (checksum.kind !== 'unknown') return { kind: checksum.kind, by: 'checksum' };
  if (source.etag !== '' && source.etag.toLowerCase() === target.etag.toLowerCase())
    return { kind: 'same', by: 'etag' };
  if (by === 'time') {
    const older = (target.lastModifiedMs ?? 0) < (source.lastModifiedMs ?? Infinity);
    return { kind: older ? 'different' : 'same', by: 'time' };
  }
  return { kind: 'unsure' };
}
