/** What a replication says of itself: plain JSON, for heartbeats, files, commands and metrics alike. */

/**
 * `waiting`: the writer cannot be seen, or is not open. `sweeping`: the first listing is under way, nothing is known yet.
 * `following`: from the change log. `frozen`: a move has ended it, what was lost is final.
 */
export type ReplicationPhase = 'waiting' | 'sweeping' | 'following' | 'frozen';

/** Null is unknown, never nothing; `why` then says what is missing. */
export interface ReplicationStatus {
  service: string;
  resource: string;
  from: string;
  to: string;
  epoch: number;
  phase: ReplicationPhase;
  /** By the clock of the machine that replicates, Unix milliseconds. */
  atMs: number;
  /** The RPO if the source were lost now. */
  oldestPendingAgeSeconds: number | null;
  backlogObjects: number | null;
  backlogBytes: number | null;
  /** Every write before it is proved at the target; by the source's clock. */
  verifiedWatermarkMs: number | null;
  drainRate: { objectsPerSecond: number; bytesPerSecond: number } | null;
  /** Until the backlog is gone at this rate. */
  etaSeconds: number | null;
  /** Tried and given up for now; part of the backlog. */
  failed: number | null;
  /** Objects at the target that nobody replicated there, as the last listing saw them; null before one. */
  foreign: number | null;
  /** Position in the source's change log. */
  cursor: number | null;
  why: string | null;
}
