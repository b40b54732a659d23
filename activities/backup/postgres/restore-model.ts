/** How long a restore takes, told from restores that were proven. Pure. */

/** What a proof measured. */
export interface RestoreSample {
  finishedAtMs: number;
  /** Files laid down, and how long that took. */
  bytes: number;
  layDownSeconds: number;
  /** WAL replayed, and how long from the start of the server to the end of recovery. */
  walBytes: number;
  replaySeconds: number;
  /** From the end of recovery until clients were served, verification not included. */
  openSeconds: number;
}

export interface RestoreForecast {
  seconds: number;
  layDownSeconds: number;
  replaySeconds: number;
  openSeconds: number;
  /** `measured`: recent proofs of about this size. `estimated`: proofs, but few, old, far from this size, or without WAL to speak of. `unknown`: none. */
  confidence: 'measured' | 'estimated';
  why: string;
}

export type RestoreEstimate = RestoreForecast | { confidence: 'unknown'; why: string };

export interface RestoreSize {
  bytes: number;
  walBytes: number;
}

const recentProofs = 5;
const measuredProofs = 3;
const oldDays = 90;
const sizeRatio = 4;
/** Less WAL than that is replayed faster than a server starts, so its rate says nothing. */
const meaningfulWalBytes = 64 << 20;
/** Replaying cannot be slower than this for ever: used where no proof had WAL enough (measured: about 145 MB/s). */
const cautiousReplayRate = 50e6;

/** Bytes by the median rate of recent proofs, WAL by theirs, and the median of the rest. */
export function estimateRestore(size: RestoreSize, samples: readonly RestoreSample[], nowMs: number): RestoreEstimate {
  const usable = samples.filter(isUsable).toSorted((a, b) => b.finishedAtMs - a.finishedAtMs);
  const recent = usable.slice(0, recentProofs);
  if (recent.length === 0) return { confidence: 'unknown', why: 'no restore of it has been proven yet' };
  const rate = median(recent.map(({ bytes, layDownSeconds }) => bytes / layDownSeconds));
  const withWal = recent.filter(({ walBytes }) => walBytes >= meaningfulWalBytes);
  const start = median(recent.filter((one) => !withWal.includes(one)).map(({ replaySeconds }) => replaySeconds));
  const replayRate =
    withWal.length > 0 ? median(withWal.map((one) => one.walBytes / one.replaySeconds)) : cautiousReplayRate;
  const layDownSeconds = size.bytes / rate;
  const replaySeconds = start + size.walBytes / replayRate;
  const openSeconds = median(recent.map((one) => one.openSeconds));
  const doubts = doubtsOf(size, recent, withWal.length > 0, nowMs);
  return {
    ...{ seconds: layDownSeconds + replaySeconds + openSeconds, layDownSeconds, replaySeconds, openSeconds },
    confidence: doubts.length === 0 ? 'measured' : 'estimated',
    why: doubts.length === 0 ? `median of the last ${recent.length} proofs` : doubts.join('; '),
  };
}

function isUsable({ bytes, layDownSeconds, walBytes, replaySeconds, openSeconds }: RestoreSample): boolean {
  const figures = [bytes, layDownSeconds, walBytes, replaySeconds, openSeconds];
  const hasReplayed = walBytes === 0 || replaySeconds > 0;
  return figures.every((one) => Number.isFinite(one) && one >= 0) && bytes > 0 && layDownSeconds > 0 && hasReplayed;
}

function doubtsOf(size: RestoreSize, recent: RestoreSample[], hasWal: boolean, nowMs: number): string[] {
  const typical = median(recent.map((one) => one.bytes));
  const ageDays = (nowMs - (recent[0]?.finishedAtMs ?? 0)) / 86_400_000;
  return [
    ...(recent.length < measuredProofs ? [`only ${recent.length} proven`] : []),
    ...(ageDays > oldDays ? [`the last proof is ${Math.floor(ageDays)} days old`] : []),
    ...(size.bytes > typical * sizeRatio || size.bytes * sizeRatio < typical
      ? ['the proofs were of another size']
      : []),
    ...(size.walBytes >= meaningfulWalBytes && !hasWal ? ['no proof replayed WAL enough to time it'] : []),
  ];
}

/** 0 for none. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length % 2 === 1) return sorted[middle] ?? 0;
  return ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
