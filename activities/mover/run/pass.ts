import { type ErrorCode, MusterError } from '../../../workflows/engine/errors.ts';
import { type CompareBy } from '../compare/judge.ts';
import { type KeyRange } from '../compare/ranges.ts';
import { type CarryRule, usualCarryRule } from '../copy/carry.ts';
import { type CopyOutcome } from '../copy/outcome.ts';
import { type OverwritePolicy } from '../copy/overwrite.ts';
import { usualPartBytes } from '../copy/part-plan.ts';
import { type CopyRule } from '../copy/ports.ts';
import { type ReplicationLedger } from '../ledger/ledger.ts';
import { type Side } from '../side.ts';
import { type FilterRule } from './filter.ts';
import { type Counts, type Progress } from './progress.ts';
import { type Timetable } from './timetable.ts';

export interface PassRule {
  compareBy: CompareBy;
  /** Also compares metadata, content headers and tags of what is the same: two requests an object. */
  compareProperties: boolean;
  /** All versions, oldest first, and delete markers. Both buckets must keep versions. */
  versions: boolean;
  filter: FilterRule;
  copy: CopyRule;
  /** Undefined: nothing is deleted. Else the share of the target's objects that may be, 0 to 1. */
  deleteShare?: number;
  /** `plan`: says what would be done. `compare`: only compares, and copies nothing. */
  mode: 'do' | 'plan' | 'compare';
  /** `compare`: also by reading both sides where nothing else decides. */
  compareBytes: boolean;
  /** Of the copied objects, how many are read again at the target, 0 to 1. */
  verifyShare: number;
  /** Objects under way at once, by weight. */
  transfers: number;
  /** Parts of large objects under way at once. */
  parallelParts: number;
  /** Ranges of keys listed at once. */
  listers: number;
  bandwidth?: Timetable;
  requests?: Timetable;
  /** How long to wait for keys that are renewed, milliseconds. */
  credentialsWaitMs: number;
}

export const usualCopyRule: CopyRule = {
  ...{ overwrite: 'ours' as OverwritePolicy, epoch: 0, origin: '', carry: usualCarryRule as CarryRule, restoreDays: 0 },
  ...{ smallBytes: 1024 * 1024, multipartBytes: 32 * 1024 * 1024, partBytes: usualPartBytes },
};

export const usualPassRule: PassRule = {
  ...{ compareBy: 'content' as const, versions: false, filter: {}, copy: usualCopyRule, mode: 'do' as const },
  ...{
    compareProperties: false,
    compareBytes: false,
    verifyShare: 0,
    transfers: 32,
    parallelParts: 4,
    listers: 8,
    credentialsWaitMs: 900_000,
  },
};

/** Where a pass goes on: plain data, for a heartbeat or the next run of a workflow. */
export interface PassCursor {
  ranges: KeyRange[];
  /** When the first part of this pass began, by the source's clock as far as it is known. */
  begunAtMs: number;
  counts: Counts;
}

export interface PassInput {
  source: Side;
  target: Side;
  rule: PassRule;
  ledger?: ReplicationLedger;
  cursor?: PassCursor;
  /** A piece of a pass: ends after so much, and gives the cursor for the next. */
  until?: { bytes?: number; ms?: number };
  /** Where lists that are too long for memory are kept; default: the system's temporary files. */
  workDirectory?: string;
  onObject?: (event: ObjectEvent) => void;
  /** About each `checkpointMs`; what is behind the cursor need not be looked at again. */
  onCheckpoint?: (cursor: PassCursor, progress: Progress) => void;
  checkpointMs?: number;
  signal?: AbortSignal;
}

/** One object that something was found or done about. What is the same on both sides is only counted. */
export type ObjectEvent = { key: string; version: string; sizeBytes: number } & (
  | { kind: 'outcome'; outcome: CopyOutcome }
  | { kind: 'only-source' | 'only-target' | 'different' | 'would-copy' | 'would-delete' | 'deleted' }
  | { kind: 'kept-extra'; why: 'foreign' | 'locked' | 'back-at-source' | 'no-longer-there' | 'refused' }
);

/** How a pass ended. Whatever ended it: what was done is in the counts and, with one, in the ledger. */
export type PassResult = { counts: Counts; elapsedMs: number } & (
  | { kind: 'complete' }
  /** The piece is done; the cursor goes on. */
  | { kind: 'more'; cursor: PassCursor }
  | { kind: 'stopped'; code: ErrorCode | 'ABORTED'; message: string; cursor: PassCursor }
);

export interface PassRun {
  finished: Promise<PassResult>;
  pause(): void;
  resume(): void;
  progress(): Progress;
  cursor(): PassCursor;
}

/** @throws VERSIONING_SUSPENDED when versions shall be copied and a bucket does not keep them */
export async function checkVersioning(
  input: Pick<PassInput, 'source' | 'target' | 'rule'>,
): Promise<{ target: boolean }> {
  const [source, target] = [await versioningOf(input.source), await versioningOf(input.target)];
  if (input.rule.versions) {
    for (const [side, state] of [
      [input.source, source],
      [input.target, target],
    ] as const) {
      if (state === 'enabled') continue;
      const message = `${side.client.name} keeps no versions: versioning is ${state}, and all versions shall be copied`;
      throw new MusterError('VERSIONING_SUSPENDED', message);
    }
  }
  return { target: target !== 'off' };
}

function versioningOf({ client }: Side): Promise<'off' | 'enabled' | 'suspended'> {
  return client.getVersioning().catch((err: unknown) => {
    const { serverCode } = err as { serverCode?: unknown };
    if (serverCode === 'NotImplemented') return 'off';
    throw err;
  });
}
