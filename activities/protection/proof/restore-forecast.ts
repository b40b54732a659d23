import type { RecoveryPoint, RestoreProof } from '../../../workflows/engine/protection.ts';
import { estimateRestore, type RestoreEstimate } from '../../backup/postgres/restore-model.ts';
import { bytesBetween } from '../../drivers/postgres/lsn.ts';
import { sampleOf } from './restore-sample.ts';

/**
 * How long a restore of the newest complete point would take now, told from what the proofs of its vault have measured:
 * each new proof moves it. Pure.
 * @param proofs of the resource; those of points that were pruned count as well
 * @param walToLsn how far its archived WAL goes; null: the point alone is restored
 */
export function forecastRestore(
  points: readonly RecoveryPoint[],
  proofs: readonly RestoreProof[],
  { vault, walToLsn, nowMs }: { vault: string; walToLsn: string | null; nowMs: number },
): RestoreEstimate {
  const newest = points
    .filter(({ status }) => status === 'complete')
    .reduce<RecoveryPoint | null>((best, one) => (best === null || one.takenAtMs > best.takenAtMs ? one : best), null);
  if (newest === null) return { confidence: 'unknown', why: 'there is no complete recovery point' };
  const samples = proofs
    .filter(({ pointId }) => pointId.startsWith(`${vault}/`))
    .map(sampleOf)
    .filter((sample) => sample !== null);
  return estimateRestore({ bytes: newest.sizeBytes, walBytes: walBytesOf(newest, walToLsn) }, samples, nowMs);
}

/** From the base backup's beginning, as the proofs count it: its own WAL is replayed, too. */
function walBytesOf({ facts: { startLsn, endLsn } }: RecoveryPoint, walToLsn: string | null): number {
  if (typeof startLsn !== 'string' || typeof endLsn !== 'string') return 0;
  const own = bytesBetween(endLsn, startLsn) ?? 0;
  const archived = walToLsn === null ? null : bytesBetween(walToLsn, startLsn);
  return Math.max(own, archived ?? 0);
}
