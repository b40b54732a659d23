/** What is said of a bucket as a whole. */

export type Versioning = 'off' | 'enabled' | 'suspended';
/** Whether somebody with the right to may lift a lock, or nobody. */
export type LockMode = 'GOVERNANCE' | 'COMPLIANCE';
/** How a bucket keeps its objects from being deleted. */
export interface BucketLock {
  /** OSS alone knows `in-progress` (may still be cancelled) and `expired`. */
  state: 'off' | 'on' | 'in-progress' | 'expired';
  /** What new objects get; left out where nothing is set. */
  mode?: LockMode;
  days?: number;
  /** OSS: which WORM policy. */
  wormId?: string;
}
export interface BucketInfo {
  name: string;
  createdAtMs: number;
  /** Where the store says so. */
  region?: string;
}
