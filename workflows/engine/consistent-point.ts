/** One moment to which all parts of a service can be brought together. Pure. */
import type { RecoveryPoint } from './protection.ts';

/** What is known of one resource. */
export interface PartPoints {
  resource: string;
  points: readonly RecoveryPoint[];
  /** By id of a point: up to when WAL leads on from it, Unix milliseconds. Points without are states by themselves. */
  replayToMs: ReadonlyMap<string, number>;
}

export interface ConsistentPart {
  resource: string;
  point: RecoveryPoint;
  /** `time`: WAL is replayed up to the common moment. */
  target: 'point' | 'time';
  /** The state is of some moment between these two: equal for one that was taken at once. Unix milliseconds. */
  fromMs: number;
  toMs: number;
}

export interface ConsistentPoint {
  /** The moment that all parts are brought to, or near to. Unix milliseconds. */
  atMs: number;
  parts: ConsistentPart[];
  /** The largest time between the states of two parts, seconds: what one has and the other has not may be from it. */
  skewSeconds: number;
}

/**
 * The newest moment whose skew is small enough; when none is, the one with the smallest skew; null when a part has no
 * complete point at all. Moments to choose from are those that parts without WAL were saved at, since others can follow
 * them.
 * @param enoughSeconds a skew that is as good as none, e.g. the RPO of the service
 */
export function consistentPoint(parts: readonly PartPoints[], enoughSeconds: number): ConsistentPoint | null {
  const whole = parts.map((part) => ({ ...part, points: part.points.filter(({ status }) => status === 'complete') }));
  if (whole.length === 0 || whole.some(({ points }) => points.length === 0)) return null;
  const candidates = momentsOf(whole).map((atMs) => pointAt(whole, atMs));
  const near = candidates.filter(({ skewSeconds }) => skewSeconds <= enoughSeconds);
  if (near.length > 0) return near.reduce((best, one) => (one.atMs > best.atMs ? one : best));
  return candidates.reduce((best, one) => (isBetter(one, best) ? one : best));
}

function isBetter(one: ConsistentPoint, other: ConsistentPoint): boolean {
  return one.skewSeconds < other.skewSeconds || (one.skewSeconds === other.skewSeconds && one.atMs > other.atMs);
}

/** Where nothing can be replayed to a moment of choice, every saved state is one; else also the last that WAL leads to. */
function momentsOf(parts: readonly PartPoints[]): number[] {
  const saved = parts.flatMap(({ points }) => points.map(({ takenAtMs }) => takenAtMs));
  const replayed = parts.map(({ replayToMs }) => Math.max(Number.NEGATIVE_INFINITY, ...replayToMs.values()));
  const all = replayed.every((toMs) => Number.isFinite(toMs)) ? [...saved, Math.min(...replayed)] : saved;
  return [...new Set(all)];
}

function pointAt(parts: readonly PartPoints[], atMs: number): ConsistentPoint {
  const chosen = parts.map((part) => partAt(part, atMs));
  const skewMs = Math.max(...chosen.map(({ toMs }) => toMs)) - Math.min(...chosen.map(({ fromMs }) => fromMs));
  return { atMs, parts: chosen, skewSeconds: skewMs / 1_000 };
}

function partAt({ resource, points, replayToMs }: PartPoints, atMs: number): ConsistentPart {
  const leading = points.filter(({ id, takenAtMs }) => takenAtMs <= atMs && (replayToMs.get(id) ?? takenAtMs) >= atMs);
  const base = leading.toSorted((a, b) => b.takenAtMs - a.takenAtMs)[0];
  if (base !== undefined && replayToMs.has(base.id)) {
    return { resource, point: base, target: 'time', fromMs: atMs, toMs: atMs };
  }
  const distance = ({ takenAtMs }: RecoveryPoint): number => Math.abs(takenAtMs - atMs);
  const point = points.reduce((best, one) => (distance(one) < distance(best) ? one : best));
  return { resource, point, target: 'point', ...spanOf(point) };
}

/** A base backup is the state of its end; a listing was read from its beginning to its end. */
function spanOf({ kind, takenAtMs, endedAtMs }: RecoveryPoint): { fromMs: number; toMs: number } {
  return kind === 'postgres' ? { fromMs: takenAtMs, toMs: takenAtMs } : { fromMs: takenAtMs, toMs: endedAtMs };
}
