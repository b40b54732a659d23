import { MusterError } from '../../../workflows/engine/errors.ts';
import { compareChecksums, type Comparison } from '../../objects/checksum/values.ts';
import { type ChecksumKind, type Checksums } from '../../objects/types.ts';

/** Cheapest to compute first; all of them are compared where they are known anyway. */
const cheapestFirst: readonly ChecksumKind[] = ['crc64nvme', 'crc64ecma', 'crc32c', 'crc32', 'sha256', 'sha1', 'md5'];

/**
 * Which checksums to compute on the way: the one the target keeps, and one that the source has told of; one and the same
 * where that is possible.
 */
export function kindsToCompute(
  source: Checksums,
  targetKind: ChecksumKind,
  among: (kind: ChecksumKind) => boolean = () => true,
): ChecksumKind[] {
  if (source[targetKind] !== undefined && among(targetKind)) return [targetKind];
  const known = cheapestFirst.find((kind) => source[kind] !== undefined && among(kind));
  return known === undefined || known === targetKind ? [targetKind] : [targetKind, known];
}

/** How far a copy is proved, without reading it back. */
export type Proof =
  /** Source, own and target's checksums agree. */
  | 'three-way'
  /** The source told no checksum of the whole; own and target's agree. */
  | 'target-only'
  /** Source and own agree; the target told none: it has to be asked or read. */
  | 'source-only'
  /** Neither told one. */
  | 'none';

export interface ThreeChecksums {
  source: Checksums;
  own: Checksums;
  target: Checksums;
}

/** @throws CHECKSUM_MISMATCH naming the two that differ */
export function proveCopy(key: string, { source, own, target }: ThreeChecksums): Proof {
  proveRead(key, source, own);
  const written = compareChecksums(own, target);
  if (written.kind === 'different') throw mismatch(key, 'what the target took is not what was sent', written);
  const read = compareChecksums(source, own).kind === 'same';
  if (written.kind === 'unknown') return read ? 'source-only' : 'none';
  return read ? 'three-way' : 'target-only';
}

/** @throws CHECKSUM_MISMATCH when what was read is not what the source told */
export function proveRead(key: string, source: Checksums, own: Checksums): void {
  const read = compareChecksums(source, own);
  if (read.kind === 'different') throw mismatch(key, 'what was read is not what the source says it holds', read);
}

function mismatch(key: string, what: string, { by, left, right }: Comparison & { kind: 'different' }): MusterError {
  return new MusterError('CHECKSUM_MISMATCH', `${JSON.stringify(key)}: ${what} (${by} ${left} and ${right})`);
}
