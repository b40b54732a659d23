import { type ErrorCode, MusterError } from '../../../workflows/engine/errors.ts';
import { type KeyRange } from '../compare/ranges.ts';
import { type ReplicationLedger } from '../ledger/ledger.ts';
import { usualDeleteShare } from '../run/delete-guard.ts';
import { type ObjectEvent, type PassRule, usualPassRule } from '../run/pass.ts';
import { type Counts, noCounts, type Progress } from '../run/progress.ts';
import { type Side } from '../side.ts';
import { type PairConflict } from './conflicts.ts';
import { type ConflictPolicy, type PairSide } from './judge.ts';

/** The two directions of a pair. */
export type Way = 'aToB' | 'bToA';
export const ways: readonly Way[] = ['aToB', 'bToA'];
export const wayFrom = (side: PairSide): Way => (side === 'a' ? 'aToB' : 'bToA');
export const otherWay = (way: Way): Way => (way === 'aToB' ? 'bToA' : 'aToB');

/**
 * The memory of a pair: a ledger a direction, each with the writes of its source that wait, and what both agreed on.
 * Where the two differ after a kill, `aToB` counts: it is always written first.
 */
export type PairLedgers = Record<Way, ReplicationLedger>;

export interface PairRule {
  /**
   * How each direction copies. Its `deleteShare` guards each side (a tenth where it says nothing); `mode` is `do` or
   * `plan`. Versions and tags cannot be asked for: histories of two writers cannot be joined, and a tag that is gone at
   * one side would read as a delete.
   */
  pass: PassRule;
  conflicts: ConflictPolicy;
  /** Kept with every copy as its origin, so that each side knows what it wrote first. */
  names: { a: string; b: string };
}

export const usualPairRule: PairRule = {
  pass: { ...usualPassRule, deleteShare: usualDeleteShare },
  conflicts: 'keep',
  names: { a: 'a', b: 'b' },
};

export interface PairCounts {
  aToB: Counts;
  bToA: Counts;
  /** Keys that both had agreed on and still do, or agree on now. */
  agreed: number;
  /** Left as they are on both sides, for a person to choose. */
  conflicts: number;
  /** Conflicts that the policy decided. */
  resolved: number;
  /** Written again and again while they were looked at: a later pass takes them. */
  unsettled: number;
}

export function noPairCounts(): PairCounts {
  return { aToB: noCounts(), bToA: noCounts(), agreed: 0, conflicts: 0, resolved: 0, unsettled: 0 };
}

/** Where a pass goes on: plain data. */
export interface PairCursor {
  ranges: KeyRange[];
  begunAtMs: number;
  counts: PairCounts;
}

export interface PairInput {
  a: Side;
  b: Side;
  rule: PairRule;
  ledgers: PairLedgers;
  cursor?: PairCursor;
  /** A piece of a pass: ends after so much of both directions, and gives the cursor for the next. */
  until?: { bytes?: number; ms?: number };
  /** Where lists of deletes are kept; without it a pass in pieces carries no deletes. */
  workDirectory?: string;
  onEvent?: (event: PairEvent) => void;
  onCheckpoint?: (cursor: PairCursor, progress: PairProgress) => void;
  checkpointMs?: number;
  signal?: AbortSignal;
}

/** One object that something was done or found about. */
export type PairEvent =
  | { kind: 'object'; way: Way; event: ObjectEvent }
  /** `winner`: whom the policy gave the last word; undefined: both were left as they are. */
  | { kind: 'conflict'; conflict: PairConflict; winner: PairSide | undefined };

export type PairProgress = Record<Way, Progress> & { counts: PairCounts; elapsedMs: number; listed: boolean };

export type PairResult = { counts: PairCounts; elapsedMs: number } & (
  | { kind: 'complete' }
  | { kind: 'more'; cursor: PairCursor }
  | { kind: 'stopped'; code: ErrorCode | 'ABORTED'; message: string; cursor: PairCursor }
);

export interface PairRun {
  /** Never rejects. */
  finished: Promise<PairResult>;
  pause(): void;
  resume(): void;
  progress(): PairProgress;
  cursor(): PairCursor;
}

/** @throws CONFIG_INVALID naming what a pair cannot do */
export function checkPairRule({ pass, names }: PairRule): void {
  const wrong = (why: string): never => {
    throw new MusterError('CONFIG_INVALID', `a pair of buckets ${why}`);
  };
  if (pass.versions) wrong('cannot copy all versions: the histories of two writers cannot be joined');
  if (pass.filter.tags !== undefined) wrong('cannot be filtered by tags: a tag taken away would read as a delete');
  if (pass.mode === 'compare') wrong('cannot be compared in this way: ask for a plan');
  if (names.a === names.b) wrong(`needs two names, both sides are called ${JSON.stringify(names.a)}`);
}
