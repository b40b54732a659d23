/** Which recovery point to take, and which one can be relied on. Pure. */
import type { PointChoice, RecoveryPoint, RestoreOrder, RestoreProof } from './protection.ts';

export type ChosenPoint =
  | {
      kind: 'chosen';
      point: RecoveryPoint;
      /** The one to compare it with; null when there is none. */
      before: RecoveryPoint | null;
    }
  | { kind: 'none'; why: string };

/**
 * Chooses among the points of one resource; only complete ones, unless one is asked for by its id.
 * @param proofs of these points: what a point is compared with was proven, where anything was
 * @param nowMs what lies behind it was saved by a clock that was wrong, and is not the newest; default: nothing does
 */
export function choosePoint(
  points: readonly RecoveryPoint[],
  choice: PointChoice,
  proofs: readonly RestoreProof[] = [],
  nowMs = Number.POSITIVE_INFINITY,
): ChosenPoint {
  const point = pick(choice.kind === 'newest' ? untilNow(points, nowMs) : points, choice);
  if (point === undefined) {
    const why =
      choice.kind === 'id' ? `there is no recovery point ${choice.id}` : 'there is no complete recovery point';
    return { kind: 'none', why };
  }
  return { kind: 'chosen', point, before: pointBefore(points, point, proofs) };
}

/** Clocks of machines that keep time differ by less. */
const clocksDifferMs = 600_000;

export function isFromFuture({ takenAtMs }: RecoveryPoint, nowMs: number): boolean {
  return takenAtMs > nowMs + clocksDifferMs;
}

/** Without those that a clock that was wrong has dated into the future; all of them where there are no others. */
export function untilNow(points: readonly RecoveryPoint[], nowMs: number): readonly RecoveryPoint[] {
  const past = points.filter((point) => !isFromFuture(point, nowMs));
  return past.some(isComplete) ? past : points;
}

/**
 * The points from which WAL leads to a target: it leads forward only. Where a name lies nobody knows before it is looked
 * for, so all of them. @param target LSNs are compared as numbers, whatever their timeline
 */
export function leadingTo(points: readonly RecoveryPoint[], target: RestoreOrder['target']): ChosenPoints {
  const complete = points.filter(isComplete);
  const leading = points.filter((point) => isBefore(point, target));
  if (complete.length === 0 || leading.some(isComplete)) return { kind: 'points', points: leading };
  const [oldest] = complete.toSorted((a, b) => a.takenAtMs - b.takenAtMs);
  const since = new Date(oldest?.takenAtMs ?? 0).toISOString();
  return { kind: 'none', why: `every recovery point was taken after ${targetText(target)}: the oldest is of ${since}` };
}

export type ChosenPoints = { kind: 'points'; points: readonly RecoveryPoint[] } | { kind: 'none'; why: string };

function isBefore({ takenAtMs, facts }: RecoveryPoint, target: RestoreOrder['target']): boolean {
  if (target.kind === 'time') return takenAtMs <= target.atMs;
  if (target.kind !== 'lsn') return true;
  const [end, wanted] = [positionOf(facts['endLsn']), positionOf(target.lsn)];
  return end === null || wanted === null || end <= wanted;
}

function targetText(target: RestoreOrder['target']): string {
  return target.kind === 'time'
    ? new Date(target.atMs).toISOString()
    : target.kind === 'lsn'
      ? target.lsn
      : target.kind;
}

/** `16/B374D848`; null for what is none. */
function positionOf(lsn: unknown): bigint | null {
  const [, high, low] = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(typeof lsn === 'string' ? lsn : '') ?? [];
  return high === undefined || low === undefined ? null : (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

function pick(points: readonly RecoveryPoint[], choice: PointChoice): RecoveryPoint | undefined {
  if (choice.kind === 'id') return points.find(({ id }) => id === choice.id);
  const complete = points.filter(isComplete).toSorted(newestFirst);
  if (choice.kind === 'newest') return complete[0];
  return lowestBy(complete, ({ id }) => rankOf(choice.seed, id));
}

/**
 * What a point is to be compared with: the newest proven one before it in the same vault, else the newest complete one.
 * The proven one first: compared with a point that holds the same damage, every point after it would look well.
 */
export function pointBefore(
  points: readonly RecoveryPoint[],
  point: RecoveryPoint,
  proofs: readonly RestoreProof[] = [],
): RecoveryPoint | null {
  const earlier = points
    .filter(isComplete)
    .filter(({ id, vault, takenAtMs }) => id !== point.id && vault === point.vault && takenAtMs < point.takenAtMs)
    .toSorted(newestFirst);
  return lastKnownGood(earlier, proofs)?.point ?? earlier[0] ?? null;
}

/**
 * The newest point that can be relied on: complete, and its last proof says proven. By proof, not by age: the newest
 * point of all counts for nothing until it was restored.
 */
export function lastKnownGood(
  points: readonly RecoveryPoint[],
  proofs: readonly RestoreProof[],
): { point: RecoveryPoint; proof: RestoreProof } | null {
  const last = lastProofs(proofs);
  for (const point of points.filter(isComplete).toSorted(newestFirst)) {
    const proof = last.get(point.id);
    if (proof?.verdict === 'proven') return { point, proof };
  }
  return null;
}

function lastProofs(proofs: readonly RestoreProof[]): Map<string, RestoreProof> {
  const last = new Map<string, RestoreProof>();
  for (const proof of proofs) {
    const known = last.get(proof.pointId);
    if (known === undefined || isLater(proof, known)) last.set(proof.pointId, proof);
  }
  return last;
}

/** Of two that ended at once the one that failed counts. */
function isLater(one: RestoreProof, other: RestoreProof): boolean {
  return one.endedAtMs > other.endedAtMs || (one.endedAtMs === other.endedAtMs && one.verdict === 'failed');
}

const isComplete = ({ status }: RecoveryPoint): boolean => status === 'complete';

function newestFirst(a: RecoveryPoint, b: RecoveryPoint): number {
  return b.takenAtMs - a.takenAtMs || (a.id < b.id ? -1 : 1);
}

function lowestBy<Item>(items: readonly Item[], rank: (item: Item) => number): Item | undefined {
  let [best, lowest]: [Item | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
  for (const item of items) {
    const own = rank(item);
    if (own < lowest) [best, lowest] = [item, own];
  }
  return best;
}

/**
 * A number from 0 up to 1 that a seed and a name always give again: whoever takes the lowest has drawn by chance.
 * FNV-1a with the last mixing step of MurmurHash3, so that names that differ in one letter lie far apart.
 */
export function rankOf(seed: string, name: string): number {
  let hash = 0x811c9dc5;
  for (const text of [seed, '\0', name]) {
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
