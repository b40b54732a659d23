import { TimelineTree } from './timeline-tree.ts';
import { parseWalName, segmentAt, segmentName } from './wal-name.ts';

/** What is known of an archive, as plain data. */
export interface WalListing {
  names: Iterable<string>;
  /** Texts of the history files among them, by timeline. */
  histories: ReadonlyMap<number, string>;
  segmentBytes: number;
}

/** Segments in a row, the first and the last included. */
export interface SegmentRun {
  from: number;
  to: number;
}

export interface TimelineWal {
  timeline: number;
  /** Ascending, never touching. */
  runs: SegmentRun[];
  /** Segments of which only a part is there, ascending. */
  partials: number[];
}

/** The WAL of an archive, timeline by timeline. Pure. */
export interface WalMap {
  segmentBytes: number;
  tree: TimelineTree;
  timelines: ReadonlyMap<number, TimelineWal>;
  /** Timelines of which there is WAL but no history: nobody can tell what comes before their first segment. */
  orphans: number[];
}

export function mapWal({ names, histories, segmentBytes }: WalListing): WalMap {
  const full = new Map<number, number[]>();
  const partial = new Map<number, number[]>();
  for (const name of names) {
    const parsed = parseWalName(name, segmentBytes);
    if (parsed?.kind !== 'segment' && parsed?.kind !== 'partial') continue;
    const into = parsed.kind === 'segment' ? full : partial;
    const list = into.get(parsed.timeline);
    if (list === undefined) into.set(parsed.timeline, [parsed.segment]);
    else list.push(parsed.segment);
  }
  const tree = new TimelineTree(histories);
  const present = [...new Set([...full.keys(), ...partial.keys()])].toSorted((a, b) => a - b);
  const timelines = present.map((timeline): [number, TimelineWal] => {
    const runs = runsOf(full.get(timeline) ?? []);
    const partials = (partial.get(timeline) ?? []).filter((one) => !isIn(runs, one)).toSorted((a, b) => a - b);
    return [timeline, { timeline, runs, partials }];
  });
  const orphans = present.filter((timeline) => tree.pathTo(timeline) === null);
  return { segmentBytes, tree, timelines: new Map(timelines), orphans };
}

function runsOf(segments: number[]): SegmentRun[] {
  const runs: SegmentRun[] = [];
  for (const segment of segments.toSorted((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && segment <= last.to + 1) last.to = segment;
    else runs.push({ from: segment, to: segment });
  }
  return runs;
}

function isIn(runs: readonly SegmentRun[], segment: number): boolean {
  return runs.some(({ from, to }) => segment >= from && segment <= to);
}

/** The last segment of the run that holds `segment`; `null` when it is not there. */
export function runEnd(map: WalMap, timeline: number, segment: number): number | null {
  const found = map.timelines.get(timeline)?.runs.find(({ from, to }) => segment >= from && segment <= to);
  return found?.to ?? null;
}

export function hasPartial(map: WalMap, timeline: number, segment: number): boolean {
  return map.timelines.get(timeline)?.partials.includes(segment) ?? false;
}

/** The newest segment of a timeline, whole or in part; `null` when there is none. */
export function newestSegment(map: WalMap, timeline: number): number | null {
  const wal = map.timelines.get(timeline);
  const ends = [wal?.runs.at(-1)?.to, wal?.partials.at(-1)].filter((one) => one !== undefined);
  return ends.length === 0 ? null : Math.max(...ends);
}

export interface WalRangeVerdict {
  timeline: number;
  /**
   * `lost`: missing though later WAL of the timeline (or of one that branched off later) is there. `delayed`: the server
   * has written it and nothing later has come, so it may be on its way. `partial`: the end, as far as it was received.
   */
  kind: 'found' | 'partial' | 'lost' | 'delayed';
  fromName: string;
  toName: string;
  segments: number;
}

/** How far a server has written, as it says itself. */
export interface ServerPosition {
  timeline: number;
  lsn: bigint;
}

/**
 * What an archive has and lacks, timeline by timeline from its first segment on. Without the server's position nothing is
 * called delayed, since nobody knows what should be there.
 */
export function walRanges(map: WalMap, server: ServerPosition | null = null): WalRangeVerdict[] {
  return [...map.timelines.keys()].flatMap((timeline) => rangesOf(map, timeline, server));
}

function rangesOf(map: WalMap, timeline: number, server: ServerPosition | null): WalRangeVerdict[] {
  const { segmentBytes } = map;
  const verdicts: WalRangeVerdict[] = [];
  const add = (kind: WalRangeVerdict['kind'], from: number, to: number): void => {
    if (from > to) return;
    const [fromName, toName] = [from, to].map((one) => segmentName(timeline, one, segmentBytes)) as [string, string];
    verdicts.push({ timeline, kind, fromName, toName, segments: to - from + 1 });
  };
  const wal = map.timelines.get(timeline) ?? { timeline, runs: [], partials: [] };
  let next = firstWanted(map, timeline);
  for (const { from, to } of wal.runs) {
    add('lost', next ?? from, from - 1);
    add('found', from, to);
    next = to + 1;
  }
  const newest = wal.partials.at(-1);
  if (newest !== undefined && newest >= (next ?? newest)) {
    add('lost', next ?? newest, newest - 1);
    add('partial', newest, newest);
    next = newest + 1;
  }
  if (next === null) return verdicts;
  const lastOfChildren = lastBeforeFork(map, timeline);
  if (lastOfChildren !== null) {
    add('lost', next, lastOfChildren);
    next = Math.max(next, lastOfChildren + 1);
  }
  // The segment that the server is writing now is nobody's loss.
  if (server?.timeline === timeline) add('delayed', next, segmentAt(server.lsn, segmentBytes) - 1);
  return verdicts;
}

/** A timeline that branched off begins with the segment of that point; for the first nobody knows. */
function firstWanted(map: WalMap, timeline: number): number | null {
  const parent = map.tree.parentOf(timeline);
  return parent === null ? null : segmentAt(parent.forkLsn, map.segmentBytes);
}

/**
 * The last segment that a timeline must have because WAL of one that branched off it is there: the segment of the fork
 * itself is copied into the new timeline.
 */
function lastBeforeFork(map: WalMap, timeline: number): number | null {
  const forks = [...map.timelines.keys()]
    .map((one) => map.tree.parentOf(one))
    .filter((parent) => parent?.timeline === timeline)
    .map((parent) => segmentAt(parent?.forkLsn ?? 0n, map.segmentBytes) - 1);
  return forks.length === 0 ? null : Math.max(...forks);
}

/** WAL that was written on a timeline after another had left it: what only a former primary had. */
export interface DivergedWal {
  timeline: number;
  /** The timeline that went on without it. */
  without: number;
  /** Both are the same up to here. */
  forkLsn: bigint;
  /** Newest segment of the branch that was left, which may hold records behind the fork. */
  newestName: string;
}

export function divergedWal(map: WalMap): DivergedWal[] {
  return map.tree.timelines.flatMap((without): DivergedWal[] => {
    const parent = map.tree.parentOf(without);
    const newest = parent === null ? null : newestSegment(map, parent.timeline);
    if (parent === null || newest === null || newest < segmentAt(parent.forkLsn, map.segmentBytes)) return [];
    const newestName = segmentName(parent.timeline, newest, map.segmentBytes);
    return [{ timeline: parent.timeline, without, forkLsn: parent.forkLsn, newestName }];
  });
}
