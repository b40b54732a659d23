import { type Checksums, type ChecksumKind } from '../../objects/types.ts';

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

const plainMd5 = /^[0-9a-f]{32}$/i;

/**
 * Compares by what two listings or heads say. ETags count as the MD5 they are only where both look like one, for a
 * multipart ETag depends on the size of the parts. Two that look like MD5 and differ are unsure, not different: with
 * KMS or customer keys an ETag of that look is none. Source: S3 API reference, object ETag.
 */
export function judgeSameness(source: Known, target: Known, by: CompareBy = 'content'): Sameness {
  if (source.sizeBytes !== target.sizeBytes) return { kind: 'different', by: 'size' };
  if (by === 'size') return { kind: 'same', by: 'size' };
  const checksum = compareChecksums(source.checksums ?? {}, target.checksums ?? {});
  if (checksum !== undefined) return { kind: checksum ? 'same' : 'different', by: 'checksum' };
  if (source.etag !== '' && source.etag.toLowerCase() === target.etag.toLowerCase())
    return { kind: 'same', by: 'etag' };
  if (by === 'time') {
    const older = (target.lastModifiedMs ?? 0) < (source.lastModifiedMs ?? Infinity);
    return { kind: older ? 'different' : 'same', by: 'time' };
  }
  return { kind: 'unsure' };
}

const strongestFirst: readonly ChecksumKind[] = ['sha256', 'sha1', 'md5', 'crc64nvme', 'crc64ecma', 'crc32c', 'crc32'];

/** Whether two sets agree in every kind both have; undefined when they have none in common. */
export function compareChecksums(a: Checksums, b: Checksums): boolean | undefined {
  let common = false;
  for (const kind of strongestFirst) {
    if (a[kind] === undefined || b[kind] === undefined) continue;
    if (a[kind] !== b[kind]) return false;
    common = true;
  }
  return common ? true : undefined;
}

export function looksLikeMd5(etag: string): boolean {
  return plainMd5.test(etag);
}
