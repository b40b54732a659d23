import { formatLsn, parseLsn } from '../../drivers/postgres/lsn.ts';
import type { BackupFacts } from './backup-entry.ts';
import type { RecoveryTarget } from './recovery-target.ts';
import type { Leg } from './timeline-tree.ts';
import { hasPartial, newestSegment, runEnd, type WalMap } from './wal-gaps.ts';
import { segmentAt, segmentBefore, segmentName, segmentStart } from './wal-name.ts';

/** What of a base backup decides where it can lead. */
export type BackupPoint = Pick<BackupFacts, 'timeline' | 'startLsn' | 'endLsn' | 'hasWal' | 'endedAtMs'>;

/** How far one base backup and an archive lead on one timeline. */
export interface Reach {
  timeline: number;
  /** The earliest position: the end of the backup. */
  fromLsn: string;
  /** All WAL up to here is there; further on only what `partial` holds. Equal to `fromLsn` when there is nothing more. */
  toLsn: string;
  /** The last segment, of which only a part is there. */
  partial: string | null;
  /** The first missing segment, when WAL behind it is there or must have been. */
  gap: string | null;
}

/**
 * The timelines to which a base backup leads, ascending. One that it does not lead to at all is left out: another past,
 * or WAL missing before the backup is consistent. (A backup that holds its own WAL leads at least to its own end.)
 */
export function reachable(map: WalMap, backup: BackupPoint): Reach[] {
  return map.tree.timelines.map((timeline) => reachOn(map, backup, timeline)).filter((reach) => reach !== null);
}

/** As `reachable`, for one timeline. `null`: it does not lead there. */
export function reachOn(map: WalMap, backup: BackupPoint, timeline: number): Reach | null {
  const path = map.tree.pathTo(timeline);
  const [start, end] = [parseLsn(backup.startLsn), parseLsn(backup.endLsn)];
  if (path === null || start === null || end === null) return null;
  const at = path.findIndex((leg) => leg.timeline === backup.timeline);
  const leg = path[at];
  // PostgreSQL refuses a timeline that had left the backup's before the backup was consistent.
  if (leg === undefined || (leg.toLsn !== null && end > leg.toLsn)) return null;
  const walk = walkPath(map, path.slice(at), segmentAt(start, map.segmentBytes));
  const isConsistent = walk.toLsn >= end || (walk.partial !== null && walk.toLsn >= segmentOf(map, end));
  if (!isConsistent && !backup.hasWal) return null;
  const toLsn = walk.toLsn > end ? walk.toLsn : end;
  return { timeline, fromLsn: formatLsn(end), toLsn: formatLsn(toLsn), partial: walk.partial, gap: walk.gap };
}

function segmentOf(map: WalMap, lsn: bigint): bigint {
  return segmentStart(segmentBefore(lsn, map.segmentBytes), map.segmentBytes);
}

interface Walk {
  toLsn: bigint;
  partial: string | null;
  gap: string | null;
}

/**
 * Follows the legs as recovery does: each segment from the newest timeline that has begun by then, the first segment of
 * a timeline holding a copy of what its parent wrote of it.
 */
function walkPath(map: WalMap, legs: readonly Leg[], from: number): Walk {
  const { segmentBytes } = map;
  const start = (segment: number): bigint => segmentStart(segment, segmentBytes);
  const name = (timeline: number, segment: number): string => segmentName(timeline, segment, segmentBytes);
  let at = from;
  for (const [index, { timeline }] of legs.entries()) {
    const next = legs[index + 1];
    const until = next === undefined ? null : segmentAt(next.fromLsn, segmentBytes);
    while (until === null || at < until) {
      const end = runEnd(map, timeline, at);
      if (end === null) break;
      at = until === null ? end + 1 : Math.min(end + 1, until);
    }
    if (until !== null && at >= until) continue;
    const newest = newestSegment(map, timeline) ?? -1;
    const isEnd = next === undefined && newest <= at;
    if (isEnd && hasPartial(map, timeline, at)) {
      return { toLsn: start(at), partial: `${name(timeline, at)}.partial`, gap: null };
    }
    // A new timeline whose first segment is not there still has its parent's, up to the fork.
    const fork = index === 0 ? null : (legs[index]?.fromLsn ?? null);
    const parent = legs[index - 1]?.timeline ?? 0;
    const hasParents = runEnd(map, parent, at) !== null || hasPartial(map, parent, at);
    const reachesFork = fork !== null && at === segmentAt(fork, segmentBytes) && (hasParents || fork === start(at));
    const toLsn = reachesFork ? fork : start(at);
    const isNoGap = isEnd && (reachesFork || at !== segmentAt(fork ?? -1n, segmentBytes));
    return { toLsn, partial: null, gap: isNoGap ? null : name(timeline, at) };
  }
  return { toLsn: start(at), partial: null, gap: null };
}

export type BackupChoice<B extends BackupPoint> =
  | { kind: 'found'; backup: B; reach: Reach }
  /** A segment is missing on the only way there. */
  | { kind: 'gap'; missing: string; reachableToLsn: string; why: string }
  | { kind: 'unreachable'; why: string };

/**
 * The newest base backup from which a target can be reached, and its timeline (`latest`: the newest one with WAL that any
 * backup leads to). For a time, when WAL may end before it, only the attempt can tell: then the choice is the one that
 * would have to reach it.
 */
export function chooseBackup<B extends BackupPoint>(
  map: WalMap,
  backups: readonly B[],
  target: RecoveryTarget,
): BackupChoice<B> {
  const ways = backups.flatMap((backup) => reachable(map, backup).map((reach) => ({ backup, reach })));
  const wanted = target.timeline === 'latest' ? Math.max(...ways.map(({ reach }) => reach.timeline)) : target.timeline;
  const onTimeline = ways.filter(({ reach }) => reach.timeline === wanted);
  if (onTimeline.length === 0) {
    const which = target.timeline === 'latest' ? 'any timeline' : `timeline ${target.timeline}`;
    return { kind: 'unreachable', why: `no base backup leads to ${which}` };
  }
  const early = onTimeline.filter(({ backup }) => isBefore(backup, target));
  const newest = early.toSorted((a, b) => b.backup.endedAtMs - a.backup.endedAtMs);
  if (newest.length === 0) return { kind: 'unreachable', why: 'every base backup was taken after the target' };
  const best = newest.find(({ reach }) => leadsTo(map, reach, target)) ?? newest[0];
  if (best === undefined) return { kind: 'unreachable', why: 'there is no base backup' };
  if (leadsTo(map, best.reach, target)) return { kind: 'found', ...best };
  return verdictOn(best.reach, target);
}

function verdictOn(reach: Reach, target: RecoveryTarget): Exclude<BackupChoice<BackupPoint>, { kind: 'found' }> {
  const wanted = target.kind === 'lsn' ? target.lsn : 'the end';
  if (reach.gap === null) return { kind: 'unreachable', why: `WAL ends at ${reach.toLsn}, before ${wanted}` };
  const why = `${reach.gap} is missing; without it ${reach.toLsn} is as far as it goes`;
  return { kind: 'gap', missing: reach.gap, reachableToLsn: reach.toLsn, why };
}

function isBefore(backup: BackupPoint, target: RecoveryTarget): boolean {
  if (target.kind === 'time') return backup.endedAtMs <= target.atMs;
  if (target.kind !== 'lsn') return true;
  const [end, wanted] = [parseLsn(backup.endLsn), parseLsn(target.lsn)];
  return end !== null && wanted !== null && end <= wanted;
}

/** Whether nothing that is known speaks against it. */
function leadsTo({ segmentBytes }: WalMap, reach: Reach, target: RecoveryTarget): boolean {
  if (target.kind === 'latest') return reach.gap === null;
  if (target.kind !== 'lsn') return true;
  const [to, wanted] = [parseLsn(reach.toLsn), parseLsn(target.lsn)];
  if (to === null || wanted === null) return false;
  const isInPartial = reach.partial !== null && wanted < to + BigInt(segmentBytes);
  return wanted <= to || isInPartial;
}
