import { type DriveApi } from './drive-api.ts';

/** One drive as a node sees it: its place in the set and how it behaves now. */
export interface DriveHandle {
  api: DriveApi;
  /** `node:drive`, for people. */
  name: string;
  nodeIndex: number;
  /** Place in the set, 0..N-1. Frozen in the drives' format file. */
  position: number;
  local: boolean;
  health: DriveHealth;
}

/** How a drive behaves, learnt from calls and pings. `suspect`: dead, hung or slow; others are asked first. */
export interface DriveHealth {
  readonly suspect: boolean;
  /** Smoothed answer time of reads, milliseconds. */
  readonly readLatencyMs: number;
  /** Milliseconds after which a read is also sent to another drive. */
  hedgeAfterMs(): number;
}

/** N drives on N nodes (N = 4, 8, 12 or 16) that share the keys placed on them: k = m = N/2. */
export interface ErasureSet {
  index: number;
  drives: readonly DriveHandle[];
}

/** Drives that must accept a write: N/2 + 1. */
export function writeQuorum(size: number): number {
  return size / 2 + 1;
}

/** Drives that must answer a read: N/2. Meets every write quorum in at least one drive. */
export function readQuorum(size: number): number {
  return size / 2;
}
