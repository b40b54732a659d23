import { type DrainRate } from '../ledger/figures.ts';

/** Counts of one pass. Bytes are those of objects, whatever was sent twice. */
export interface Counts {
  /** Keys listed, by side. */
  sourceObjects: number;
  targetObjects: number;
  same: number;
  /** Objects and bytes found to be copied, and those that were. */
  wanted: number;
  wantedBytes: number;
  copied: number;
  copiedBytes: number;
  /** Of the copied: those of which only metadata or tags were written. */
  refreshed: number;
  /** Of the copied: those whose source told no checksum. */
  sourceUntold: number;
  /** Read again at the target and found right. */
  readBack: number;
  deleted: number;
  toDelete: number;
  /** Left as they were because the target's must not be overwritten or deleted. */
  kept: number;
  archived: number;
  gone: number;
  changing: number;
  failed: number;
  notCarried: number;
  /** Keys that are only there, in comparisons. */
  onlySource: number;
  onlyTarget: number;
  different: number;
}

export function noCounts(): Counts {
  return {
    ...{
      sourceObjects: 0,
      targetObjects: 0,
      same: 0,
      wanted: 0,
      wantedBytes: 0,
      copied: 0,
      copiedBytes: 0,
      refreshed: 0,
    },
    ...{ sourceUntold: 0, readBack: 0, deleted: 0, toDelete: 0, kept: 0, archived: 0, gone: 0, changing: 0 },
    ...{ failed: 0, notCarried: 0, onlySource: 0, onlyTarget: 0, different: 0 },
  };
}

export interface Progress {
  counts: Counts;
  /** Arrived of large objects that are not whole yet; not in the counts. */
  underWayBytes: number;
  elapsedMs: number;
  /** Of the last seconds; undefined before anything was moved. */
  rate: DrainRate | undefined;
  /** Milliseconds until what is known to be left is done; undefined where nobody can tell. */
  etaMs: number | undefined;
  /** The listing has ended: all there is to do is known. */
  listed: boolean;
  /** Why nothing moves, when somebody or something holds it up. */
  paused: string | undefined;
}

/** What was moved over the last while, by the monotonic clock. */
export interface Meter {
  add(objects: number, bytes: number): void;
  rate(): DrainRate | undefined;
}

const slotMs = 1_000;
const windowSlots = 20;

export function createMeter(now: () => number = () => performance.now()): Meter {
  const begunAtMs = now();
  let first: number | undefined;
  const slots: { slot: number; objects: number; bytes: number }[] = [];
  return {
    add(objects, bytes) {
      const slot = Math.floor((now() - begunAtMs) / slotMs);
      first ??= now();
      const last = slots.at(-1);
      if (last?.slot === slot) {
        last.objects += objects;
        last.bytes += bytes;
      } else slots.push({ slot, objects, bytes });
      while (slots.length > 0 && slots[0]!.slot <= slot - windowSlots) slots.shift();
    },
    rate() {
      if (first === undefined) return undefined;
      const nowMs = now();
      const slot = Math.floor((nowMs - begunAtMs) / slotMs);
      const seconds = Math.min(windowSlots * slotMs, Math.max(slotMs, nowMs - begunAtMs)) / 1_000;
      const recent = slots.filter((one) => one.slot > slot - windowSlots);
      const sum = (of: 'objects' | 'bytes'): number => recent.reduce((total, one) => total + one[of], 0);
      return { objectsPerSecond: sum('objects') / seconds, bytesPerSecond: sum('bytes') / seconds };
    },
  };
}

/** Whichever of objects and bytes takes longer; undefined while the list grows or nothing moves. */
export function etaMs(
  { counts, underWayBytes }: Pick<Progress, 'counts' | 'underWayBytes'>,
  rate: DrainRate | undefined,
  listed: boolean,
): number | undefined {
  const done = counts.copied + counts.kept + counts.archived + counts.gone + counts.changing + counts.failed;
  const objects = counts.wanted - done;
  if (objects <= 0) return listed ? 0 : undefined;
  if (!listed || rate === undefined || (rate.objectsPerSecond === 0 && rate.bytesPerSecond === 0)) return undefined;
  const bytes = Math.max(0, counts.wantedBytes - counts.copiedBytes - underWayBytes);
  const byBytes = rate.bytesPerSecond === 0 ? 0 : bytes / rate.bytesPerSecond;
  // Parts of large objects move for long before the first of the objects is whole.
  const byObjects = rate.objectsPerSecond === 0 ? 0 : objects / rate.objectsPerSecond;
  return Math.round(1_000 * Math.max(byObjects, byBytes));
}
