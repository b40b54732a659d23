import { parseHistory } from '../../drivers/postgres/history.ts';
import { parseLsn } from '../../drivers/postgres/lsn.ts';

/** One stretch of a timeline's past: it runs on `timeline` from `fromLsn` up to, not including, `toLsn` (`null`: no end). */
export interface Leg {
  timeline: number;
  fromLsn: bigint;
  toLsn: bigint | null;
}

/** How the timelines of one system came about, from their history files. Pure. */
export class TimelineTree {
  readonly #legs = new Map<number, Leg[]>();

  /** Texts of history files by timeline; a timeline without one counts only when it is the first. */
  constructor(histories: ReadonlyMap<number, string>) {
    this.#legs.set(1, [{ timeline: 1, fromLsn: 0n, toLsn: null }]);
    for (const [timeline, text] of histories) this.#legs.set(timeline, legsOf(timeline, text));
  }

  /** Timelines whose past is known, ascending. */
  get timelines(): number[] {
    return [...this.#legs.keys()].toSorted((a, b) => a - b);
  }

  /** The way to a timeline, oldest leg first, itself last; `null` when its past is not known. */
  pathTo(timeline: number): Leg[] | null {
    return this.#legs.get(timeline) ?? null;
  }

  /** The timeline it branched off, and where; `null` for the first and for those of unknown past. */
  parentOf(timeline: number): { timeline: number; forkLsn: bigint } | null {
    const path = this.pathTo(timeline) ?? [];
    const [parent, own] = [path.at(-2), path.at(-1)];
    return parent === undefined || own === undefined ? null : { timeline: parent.timeline, forkLsn: own.fromLsn };
  }

  /** Whether what was on `timeline` at `lsn` is part of the past (or the present) of `of`. */
  contains(of: number, timeline: number, lsn: bigint): boolean {
    const leg = this.pathTo(of)?.find((one) => one.timeline === timeline);
    return leg !== undefined && lsn >= leg.fromLsn && (leg.toLsn === null || lsn < leg.toLsn);
  }

  /** Timelines to which a position belongs, ascending. After a fork it may be several that say different things. */
  timelinesWith(timeline: number, lsn: bigint): number[] {
    return this.timelines.filter((one) => this.contains(one, timeline, lsn));
  }

  /** Where two timelines parted: up to there they are the same. `null`: nobody knows of a common past. */
  forkOf(one: number, other: number): { timeline: number; lsn: bigint | null } | null {
    const [left, right] = [this.pathTo(one), this.pathTo(other)];
    if (left === null || right === null) return null;
    let common: { timeline: number; lsn: bigint | null } | null = null;
    for (const [index, leg] of left.entries()) {
      const match = right[index];
      if (match?.timeline !== leg.timeline || match.fromLsn !== leg.fromLsn) break;
      common = { timeline: leg.timeline, lsn: earlier(leg.toLsn, match.toLsn) };
      if (leg.toLsn !== match.toLsn) break;
    }
    return common;
  }
}

function earlier(a: bigint | null, b: bigint | null): bigint | null {
  if (a === null || b === null) return a ?? b;
  return a < b ? a : b;
}

function legsOf(timeline: number, text: string): Leg[] {
  const legs: Leg[] = [];
  let fromLsn = 0n;
  for (const parent of parseHistory(text)) {
    const toLsn = parseLsn(parent.endLsn) ?? 0n;
    legs.push({ timeline: parent.timeline, fromLsn, toLsn });
    fromLsn = toLsn;
  }
  return [...legs, { timeline, fromLsn, toLsn: null }];
}
