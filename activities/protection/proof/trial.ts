import type {
  ProofFinding,
  RecoveryPoint,
  RestoreProof,
  RestoreTestOrder,
} from '../../../workflows/engine/protection.ts';
import type { Repository } from '../../backup/repository/attach.ts';
import type { WalOwner } from '../../backup/postgres/repository-wal-archive.ts';
import type { WalArchive } from '../../backup/postgres/wal-archive.ts';
import type { ProtectionContext } from '../context.ts';
import type { Place } from './place.ts';
import type { Stored } from './stored.ts';

/** A restore test under way: what it is to do, and what it has found out so far. */
export interface Trial {
  order: RestoreTestOrder;
  point: RecoveryPoint;
  before: RecoveryPoint | null;
  place: Place;
  context: ProtectionContext;
  startedAtMs: number;
  findings: ProofFinding[];
  figures: RestoreProof['figures'];
  restoredToMs: number | null;
  restoreSeconds: number | null;
}

/** What proves a point of one kind is given. */
export interface Proving extends Trial {
  stored: Stored;
  /** Aborted when the activity is to end, or the lock of the vault was lost. */
  signal: AbortSignal;
  /** `null`: the resource has no archive of WAL. */
  archiveOf: ArchiveOf;
}

export type ArchiveOf = (repository: Repository, of: WalOwner) => WalArchive | null;

/** Where a restored copy can be looked at; null when it was read without being laid down anywhere. */
export type Restored = { url: string; directory: string } | null;

const nothingMeasured: RestoreProof['figures'] = {
  restoredBytes: null,
  layDownSeconds: null,
  walBytes: null,
  replaySeconds: null,
  verifySeconds: null,
};

export function beginTrial(
  given: Pick<Trial, 'order' | 'point' | 'before' | 'place' | 'context' | 'startedAtMs'>,
): Trial {
  return { ...given, findings: [], figures: { ...nothingMeasured }, restoredToMs: null, restoreSeconds: null };
}

export const secondsSince = (startedAt: number): number => (performance.now() - startedAt) / 1_000;
