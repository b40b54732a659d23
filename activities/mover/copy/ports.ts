import { type ReplicationLedger } from '../ledger/ledger.ts';
import { type Side } from '../side.ts';
import { type CarryRule, type Extra } from './carry.ts';
import { type OverwritePolicy } from './overwrite.ts';

/** What every copy of a run has in common. */
export interface CopySetup {
  source: Side;
  target: Side;
  rule: CopyRule;
  /** Keeps uploads under way, so that they are gone on from. Without it an upload that fails is given up. */
  ledger?: ReplicationLedger;
  signal?: AbortSignal;
  /** Waits for its turn under a limit of bandwidth; undefined where there is none to wait for. */
  throttle?: (bytes: number) => Promise<void> | undefined;
  /** Runs the parts of large objects, as many at once as the run allows; larger ones count for more. */
  parts: <T>(sizeBytes: number, run: () => Promise<T>) => Promise<T>;
  /** Told of each part of a large object that is at the target, also of those that an earlier run has sent. */
  arrived?: (key: string, bytes: number, since: 'now' | 'before') => void;
  /** Told of tags that were put on an object at the target by themselves, without its bytes. */
  tagsPut?: (key: string, tags: Readonly<Record<string, string>>) => void;
  /** What this target has refused: learnt on the way. */
  refused: Set<Extra>;
  /** Whether the target's bucket keeps versions: OSS ignores `ifAbsent` there. */
  targetVersioned: boolean;
}

export interface CopyRule {
  overwrite: OverwritePolicy;
  /** Of this replication. */
  epoch: number;
  /** Name of the source's site; '' for none. */
  origin: string;
  carry: CarryRule;
  /** Asks archived objects to be readable for so many days; 0 leaves them. */
  restoreDays: number;
  /** Objects up to this size go through memory in one piece, bytes. */
  smallBytes: number;
  /** Larger objects are cut into parts, bytes. */
  multipartBytes: number;
  /** Wanted size of a part, bytes. */
  partBytes: number;
}

/** One object or version to copy. Relative key. */
export interface CopyTask {
  key: string;
  /** Undefined: the newest. */
  versionId?: string;
  sizeBytes: number;
  etag: string;
  /** When it was written, by the source's clock. */
  writtenAtMs: number;
  /** What a listing saw at the target: nothing, an ETag, or undefined where nobody looked. */
  seen?: { kind: 'absent' } | { kind: 'present'; etag: string };
  /** What the ledger says this replication left there; '' for nothing. */
  knownEtag?: string;
  /** Its copy at the target, where the ledger knows it; '' for none. Of a version whose tags became others. */
  targetVersion?: string;
  /** A version that follows another one: what is there is its own history and is not judged again. */
  follows?: boolean;
}
