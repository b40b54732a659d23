import { type Entry } from '../compare/pages.ts';

/** One of the two sides of a pair. Both have users who write. */
export type PairSide = 'a' | 'b';

/** ETags of what both sides last agreed on; '' for nothing there. */
export interface Base {
  a: string;
  b: string;
}
export const noBase: Base = { a: '', b: '' };

/** What is known about one key when it is judged. */
export interface PairLook {
  a: Entry | undefined;
  b: Entry | undefined;
  base: Base;
  /** Written anew with the same bytes since both agreed: metadata may be other. */
  touched: { a: boolean; b: boolean };
}

export type PairVerdict =
  /** Nothing was written since both agreed. */
  | { kind: 'agreed' }
  /** Neither has it. */
  | { kind: 'gone' }
  /** One side wrote it since. */
  | { kind: 'carry'; from: PairSide; why: 'absent' | 'different' | 'properties' }
  /** One side deleted it since, and the other did nothing. */
  | { kind: 'delete'; from: PairSide }
  /** Both did something since. */
  | { kind: 'both' };

type Change = 'none' | 'written' | 'touched' | 'deleted';

/** What became of a key on both sides since they agreed about it; pure. Times of two clocks are never compared. */
export function judgePair({ a, b, base, touched }: PairLook): PairVerdict {
  const [byA, byB] = [changeOf(a, base.a, touched.a), changeOf(b, base.b, touched.b)];
  if (byA === 'none' && byB === 'none') return a === undefined ? { kind: 'gone' } : { kind: 'agreed' };
  if (byB === 'none') return fromOne('a', byA, b);
  if (byA === 'none') return fromOne('b', byB, a);
  return byA === 'deleted' && byB === 'deleted' ? { kind: 'gone' } : { kind: 'both' };
}

function changeOf(entry: Entry | undefined, agreedEtag: string, touched: boolean): Change {
  if (entry === undefined) return agreedEtag === '' ? 'none' : 'deleted';
  if (entry.etag !== agreedEtag) return 'written';
  return touched ? 'touched' : 'none';
}

function fromOne(from: PairSide, change: Change, other: Entry | undefined): PairVerdict {
  if (change === 'deleted') return { kind: 'delete', from };
  if (other === undefined) return { kind: 'carry', from, why: 'absent' };
  return { kind: 'carry', from, why: change === 'touched' ? 'properties' : 'different' };
}

/** Who has the last word where both wrote. `keep`: nobody, a person has to choose; both stay as they are. */
export type ConflictPolicy = 'keep' | 'newer' | 'a' | 'b';

/** Clocks of two stores agree to about this, milliseconds: what lies closer has no order. */
const sameMomentMs = 1_000;

/**
 * The side that wins a conflict by the policy; undefined leaves it to a person. `newer` goes by each store's own clock;
 * a deletion has no time, so that what was written wins over it. Pure.
 */
export function winnerOf(policy: ConflictPolicy, { a, b }: Pick<PairLook, 'a' | 'b'>): PairSide | undefined {
  if (policy === 'keep') return undefined;
  if (policy !== 'newer') return policy;
  if (a === undefined || b === undefined) return a === undefined ? 'b' : 'a';
  const byMs = a.lastModifiedMs - b.lastModifiedMs;
  if (Math.abs(byMs) <= sameMomentMs) return undefined;
  return byMs > 0 ? 'a' : 'b';
}
