import { type Confidence } from '../../../workflows/engine/measure.ts';
import { type LedgerTotals, type Observed, type RowState } from './ledger.ts';

/** A figure and its honesty. `value` is null exactly when nobody knows; then `why` says what is missing. */
export interface Figure {
  value: number | null;
  confidence: Confidence;
  why?: string;
}

/** What a replication says of itself. Times in Unix milliseconds by the source's clock. */
export interface ReplicationFigures {
  /** The RPO if the source were lost now, milliseconds. */
  oldestPendingAgeMs: Figure;
  backlogObjects: Figure;
  backlogBytes: Figure;
  failedObjects: Figure;
  /** Every write before it is proved at the target. */
  verifiedWatermarkMs: Figure;
  drainObjectsPerSecond: Figure;
  drainBytesPerSecond: Figure;
  /** Milliseconds until the backlog is gone at this rate. */
  etaMs: Figure;
}

export interface DrainRate {
  objectsPerSecond: number;
  bytesPerSecond: number;
}

export interface FiguresInput {
  totals: LedgerTotals;
  /** Undefined: the source was never seen whole. */
  observed: Observed | undefined;
  /** Undefined: nothing was drained while anybody looked. */
  rate: DrainRate | undefined;
  /** This machine's clock. */
  nowMs: number;
}

/**
 * The figures of a replication, pure. What was never seen counts as not there yet, never as nothing: a write that nobody
 * has seen is newer than `observed.upToMs`, so the age is never smaller than the true loss.
 */
export function replicationFigures({ totals, observed, rate, nowMs }: FiguresInput): ReplicationFigures {
  const openObjects = totals.pending.objects + totals.copied.objects + totals.failed.objects;
  const openBytes = totals.pending.sizeBytes + totals.copied.sizeBytes + totals.failed.sizeBytes;
  const neverSeen = 'the source was never listed to its end';
  const seen = (value: number): Figure => (observed === undefined ? unknown(neverSeen) : sure(value, observed));
  const drains = 'nothing was drained in the time that was watched';
  const ofRate = (pick: (rate: DrainRate) => number): Figure =>
    rate === undefined ? unknown(drains) : { value: pick(rate), confidence: 'measured' };
  return {
    oldestPendingAgeMs: observed === undefined ? unknown(neverSeen) : age(totals, observed, nowMs),
    backlogObjects: seen(openObjects),
    backlogBytes: seen(openBytes),
    failedObjects: { value: totals.failed.objects, confidence: 'measured' },
    verifiedWatermarkMs: seen(Math.min(observed?.upToMs ?? 0, totals.oldestDueMs ?? Infinity)),
    drainObjectsPerSecond: ofRate(({ objectsPerSecond }) => objectsPerSecond),
    drainBytesPerSecond: ofRate(({ bytesPerSecond }) => bytesPerSecond),
    etaMs: observed === undefined ? unknown(neverSeen) : eta({ objects: openObjects, sizeBytes: openBytes }, rate),
  };
}

function unknown(why: string): Figure {
  return { value: null, confidence: 'unknown', why };
}

/** A sweep sees what was there when it passed; only a log tells of every write. */
function sure(value: number, observed: Observed): Figure {
  return { value, confidence: observed.by === 'change-log' ? 'measured' : 'estimated' };
}

function age(totals: LedgerTotals, observed: Observed, nowMs: number): Figure {
  const watermarkMs = Math.min(observed.upToMs, totals.oldestDueMs ?? Infinity);
  const value = Math.max(0, nowMs + (observed.clockOffsetMs ?? 0) - watermarkMs);
  const clocksCompared = observed.clockOffsetMs !== undefined;
  return { value, confidence: clocksCompared && observed.by === 'change-log' ? 'measured' : 'estimated' };
}

function eta(open: { objects: number; sizeBytes: number }, rate: DrainRate | undefined): Figure {
  if (open.objects === 0) return { value: 0, confidence: 'measured' };
  if (rate === undefined) return unknown('the rate is not known');
  if (rate.objectsPerSecond === 0) return unknown('nothing drains');
  const byObjects = open.objects / rate.objectsPerSecond;
  const byBytes = rate.bytesPerSecond === 0 ? 0 : open.sizeBytes / rate.bytesPerSecond;
  return { value: Math.round(1_000 * Math.max(byObjects, byBytes)), confidence: 'estimated' };
}

/** What became of a row, in one word for people. */
export function stateWord(state: RowState): string {
  return { pending: 'not copied', copied: 'copied, not proved', verified: 'proved', failed: 'failed' }[state];
}
