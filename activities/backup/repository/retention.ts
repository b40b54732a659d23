import { MusterError } from '../../../workflows/engine/errors.ts';
import { localDate, spanBefore, type CalendarSpan } from './duration.ts';
import { byTime, nanosOf, type Snapshot } from './snapshot.ts';

/** How many of each to keep; `all` keeps every one. What is not given keeps nothing. */
export interface RetentionPolicy {
  readonly last?: number | 'all';
  readonly hourly?: number | 'all';
  readonly daily?: number | 'all';
  readonly weekly?: number | 'all';
  readonly monthly?: number | 'all';
  readonly yearly?: number | 'all';
  /** Everything so long before the newest snapshot. */
  readonly within?: CalendarSpan;
  /** One of each hour, day, week, month, year so long before the newest snapshot. */
  readonly withinHourly?: CalendarSpan;
  readonly withinDaily?: CalendarSpan;
  readonly withinWeekly?: CalendarSpan;
  readonly withinMonthly?: CalendarSpan;
  readonly withinYearly?: CalendarSpan;
  /** Snapshots that have all tags of one of these lists. */
  readonly tags?: readonly (readonly string[])[];
}

export type GroupBy = 'host' | 'paths' | 'tags';

export interface RetentionOptions {
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** The policy holds for each group by itself; restic's default is host and paths. */
  readonly groupBy?: readonly GroupBy[];
  /** Let the policy drop every snapshot of a group. */
  readonly dropWholeGroups?: boolean;
}

/** What the snapshots of a group have in common; empty where it does not matter. */
export interface GroupName {
  readonly hostname: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
}

export interface RetentionGroup extends GroupName {
  /** Newest first. */
  readonly keep: readonly KeptSnapshot[];
  readonly remove: readonly Snapshot[];
}

export interface KeptSnapshot {
  readonly snapshot: Snapshot;
  /** Why: `daily snapshot`, `within 1y`, ... */
  readonly reasons: readonly string[];
}

/**
 * What `restic forget` would keep and remove, with two differences, both on the safe side: a snapshot from the future
 * is kept and counts for nothing, so that a clock that ran ahead (or a forged time) crowds out no real one; and a
 * policy that would leave nothing of a group is refused. A policy without any rule keeps everything.
 * @throws MusterError RETENTION_UNSAFE naming the group
 */
export function decideRetention(
  snapshots: readonly Snapshot[],
  policy: RetentionPolicy,
  { nowMs, groupBy = ['host', 'paths'], dropWholeGroups = false }: RetentionOptions,
): RetentionGroup[] {
  const groups = [...groupSnapshots(snapshots, groupBy).values()].map((group) => ({
    ...groupOf(group[0] as Snapshot, groupBy),
    ...decideGroup(group.toSorted(byTime).toReversed(), policy, nowMs),
  }));
  const dropped = groups.find(({ keep }) => keep.length === 0);
  if (dropped !== undefined && !dropWholeGroups) throw unsafe(dropped);
  return groups;
}

function groupSnapshots(snapshots: readonly Snapshot[], groupBy: readonly GroupBy[]): Map<string, Snapshot[]> {
  const groups = new Map<string, Snapshot[]>();
  for (const snapshot of snapshots) {
    const key = JSON.stringify(groupOf(snapshot, groupBy));
    groups.set(key, [...(groups.get(key) ?? []), snapshot]);
  }
  return groups;
}

function groupOf({ hostname = '', paths, tags = [] }: Snapshot, groupBy: readonly GroupBy[]): GroupName {
  return {
    hostname: groupBy.includes('host') ? hostname : '',
    paths: groupBy.includes('paths') ? paths.toSorted() : [],
    tags: groupBy.includes('tags') ? tags.toSorted() : [],
  };
}

function unsafe({ hostname, paths, tags, remove }: RetentionGroup): MusterError {
  const named = [hostname && `host ${hostname}`, paths.join(', '), tags.length > 0 && `tags ${tags.join(', ')}`];
  const group = named.filter(Boolean).join(', ') || 'all snapshots';
  const what = remove.length === 1 ? 'does not keep the one snapshot' : `keeps none of the ${remove.length} snapshots`;
  return new MusterError('RETENTION_UNSAFE', `the policy ${what} of ${group}`);
}

/** Names what a snapshot stands for: the first of each name is kept. */
type Bucket = (snapshot: Snapshot, place: number) => string;

const day: Bucket = ({ time }) => localDate(time).toISOString().slice(0, 10);
const buckets = {
  last: (_, place) => String(place),
  hourly: ({ time }) => localDate(time).toISOString().slice(0, 13),
  daily: day,
  weekly: ({ time }) => isoWeek(localDate(time)),
  monthly: ({ time }) => localDate(time).toISOString().slice(0, 7),
  yearly: ({ time }) => localDate(time).toISOString().slice(0, 4),
} as const satisfies Record<string, Bucket>;

/** Decides, from the newest snapshot to the oldest, whether a rule keeps each: why, or null. */
type Rule = (snapshot: Snapshot, place: number, isOldest: boolean) => string | null;

function decideGroup(
  newestFirst: readonly Snapshot[],
  policy: RetentionPolicy,
  nowMs: number,
): { keep: KeptSnapshot[]; remove: Snapshot[] } {
  const nowNs = BigInt(Math.floor(nowMs)) * 1_000_000n;
  const past = newestFirst.filter((snapshot) => nanosOf(snapshot) <= nowNs);
  const rules = past[0] === undefined ? [] : rulesOf(policy, past[0]);
  const future = newestFirst.length - past.length;
  const reasonsFor = (snapshot: Snapshot, index: number): string[] => {
    const place = index - future;
    if (place < 0) return ['from the future'];
    return rules.map((rule) => rule(snapshot, place, place === past.length - 1)).filter((reason) => reason !== null);
  };
  const judged = newestFirst.map((snapshot, index) => ({ snapshot, reasons: reasonsFor(snapshot, index) }));
  return {
    keep: judged.filter(({ reasons }) => reasons.length > 0),
    remove: judged.filter(({ reasons }) => reasons.length === 0).map(({ snapshot }) => snapshot),
  };
}

function rulesOf(policy: RetentionPolicy, newest: Snapshot): Rule[] {
  const { within, tags = [] } = policy;
  const kinds = Object.keys(buckets) as (keyof typeof buckets)[];
  const rules: Rule[] = tags.map((list) => hasTags(list));
  if (within !== undefined) rules.push(everythingSince(spanBefore(newest.time, within)));
  for (const kind of kinds) {
    const count = policy[kind] ?? 0;
    if (count === 'all' || count > 0) rules.push(newestOfEach(kind, count));
  }
  for (const kind of kinds) {
    const span = kind === 'last' ? undefined : policy[withinOf(kind)];
    if (span !== undefined) rules.push(newestOfEachSince(kind, spanBefore(newest.time, span)));
  }
  return rules.length > 0 ? rules : [() => 'the policy has no rules'];
}

const withinOf = (kind: Exclude<keyof typeof buckets, 'last'>) =>
  `within${kind[0]?.toUpperCase() ?? ''}${kind.slice(1)}` as `within${Capitalize<typeof kind>}`;

function hasTags(list: readonly string[]): Rule {
  return ({ tags = [] }) => (list.every((tag) => tags.includes(tag)) ? `has tags ${list.join(', ')}` : null);
}

function everythingSince(sinceNs: bigint): Rule {
  return (snapshot) => (nanosOf(snapshot) > sinceNs ? 'within the span' : null);
}

/**
 * The reason of the oldest snapshot of a group that is kept because a rule has some of its count left: that makes the
 * history longer. restic does so since 0.16; before, it kept one less.
 */
export const oldestReason = 'oldest of all, and not all are there yet';

function newestOfEach(kind: keyof typeof buckets, count: number | 'all'): Rule {
  let left = count === 'all' ? Infinity : count;
  let before: string | null = null;
  return (snapshot, place, isOldest) => {
    const bucket = buckets[kind](snapshot, place);
    if (left === 0) return null;
    if (bucket === before) return isOldest ? oldestReason : null;
    before = bucket;
    left -= 1;
    return `${kind} snapshot`;
  };
}

function newestOfEachSince(kind: keyof typeof buckets, sinceNs: bigint): Rule {
  let before: string | null = null;
  return (snapshot, place) => {
    if (nanosOf(snapshot) <= sinceNs) return null;
    const bucket = buckets[kind](snapshot, place);
    if (bucket === before) return null;
    before = bucket;
    return `${kind} within the span`;
  };
}

/** Year and week by ISO 8601: a week belongs to the year that has its Thursday. */
function isoWeek(date: Date): string {
  const thursday = new Date(date);
  thursday.setUTCDate(date.getUTCDate() + 4 - (date.getUTCDay() || 7));
  const firstMs = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  return `${thursday.getUTCFullYear()} ${Math.floor((thursday.getTime() - firstMs) / (7 * 86_400_000))}`;
}
