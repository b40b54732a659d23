import { type Marks } from './marks.ts';

/**
 * What may be overwritten at the target. `ours`: only what a mover wrote, and nothing newer. `older`: also what others
 * wrote before the source's write. `always`: everything but what a higher epoch wrote. `known`: only what the ledger
 * says is there, for where both sides have users: a mark that went along with a user's own copy proves nothing there.
 */
export type OverwritePolicy = 'ours' | 'older' | 'always' | 'known';

/** The write that is to be copied. */
export interface Incoming {
  etag: string;
  writtenAtMs: number;
  epoch: number;
}

/** What is there. Marks where a mover wrote it. */
export interface Present {
  etag: string;
  lastModifiedMs: number;
  marks: Marks | undefined;
}

export type OverwriteVerdict =
  | { kind: 'write' }
  /** It is the copy of this very write. */
  | { kind: 'same' }
  | { kind: 'keep'; why: 'higher-epoch' | 'newer' | 'foreign' };

/**
 * Whether a copy may replace what the target has under its key. `knownEtag`: what this replication left there, by its
 * ledger: if it is still that, nobody wrote since. Times of two clocks are only compared under `older`.
 */
export function judgeOverwrite(
  incoming: Incoming,
  present: Present,
  rule: { policy: OverwritePolicy; knownEtag?: string },
): OverwriteVerdict {
  const { marks } = present;
  if (marks !== undefined && marks.epoch > incoming.epoch) return { kind: 'keep', why: 'higher-epoch' };
  if (marks?.sourceEtag === incoming.etag && marks.writtenAtMs >= incoming.writtenAtMs) return { kind: 'same' };
  if (rule.policy === 'always') return { kind: 'write' };
  if (rule.knownEtag !== undefined && rule.knownEtag !== '' && rule.knownEtag === present.etag)
    return { kind: 'write' };
  if (rule.policy === 'known') return { kind: 'keep', why: 'foreign' };
  if (marks !== undefined)
    return marks.epoch === incoming.epoch && secondOf(marks.writtenAtMs) > secondOf(incoming.writtenAtMs)
      ? { kind: 'keep', why: 'newer' }
      : { kind: 'write' };
  if (rule.policy === 'older')
    return present.lastModifiedMs < incoming.writtenAtMs ? { kind: 'write' } : { kind: 'keep', why: 'newer' };
  return { kind: 'keep', why: 'foreign' };
}

/** Listings and heads tell times to the second, a change log to the millisecond: only whole seconds compare. */
function secondOf(unixMs: number): number {
  return Math.floor(unixMs / 1_000);
}
