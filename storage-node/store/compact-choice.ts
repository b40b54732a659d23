import { StorageError } from '../errors.ts';
import { type DriveCore } from './drive-core.ts';
import { type Segment } from './segment.ts';

/** Files with less than this share alive are rewritten. */
const deadEnough = 0.5;
/** Smaller files are left alone while anything in them is alive, unless there are more than a few of them. */
const worthBytes = 8 * 1024 * 1024;
const fewFiles = 16;
/**
 * Where objects are overwritten all the time, a file that is half dead now is dead altogether soon: what is copied out of
 * it too early is copied for nothing. It is left until nothing in it has died for a while, the dead outweigh the living by
 * this much, or the drive runs short of space.
 */
const quietMs = 10 * 60 * 1000;
const deadMarginBytes = 2 * 1024 ** 3;
const tightShare = 0.1;
/** Bytes that compaction moves and writes down together; so much room must stay beside what it copies. */
export const batchBytes = 4 * 1024 * 1024;

/**
 * The deadest file that is worth rewriting and whose living part has room elsewhere. A drive that is short of space
 * takes little or nothing, so that its open file may never be closed: there open files count as well.
 * @param eager takes any file that is dead enough, also one that is still dying
 * @throws StorageError OutOfSpace when there are such files, and no room for what lives in any of them
 */
export function chooseSegment(core: DriveCore, eager: boolean): Segment | undefined {
  const due = dueSegments(core, eager || isTight(core));
  if (due.length === 0) return undefined;
  const { freeBytes } = core.space;
  const found = due.find(({ liveBytes }) => liveBytes === 0 || liveBytes + batchBytes <= freeBytes);
  if (found !== undefined) return found;
  const leastBytes = Math.min(...due.map(({ liveBytes }) => liveBytes)) + batchBytes;
  throw new StorageError(
    'OutOfSpace',
    `drive ${core.name} cannot give back what was deleted: compaction needs ${mebibytes(leastBytes)} MiB and ` +
      `${mebibytes(Math.max(0, freeBytes))} MiB are free; make that much room on its disk, or delete more`,
  );
}

/** Deadest first. */
function dueSegments({ env, segments, space }: DriveCore, eager: boolean): Segment[] {
  const nowMs = env.clock.monotonicMs();
  const isShort = space.short();
  const free = [...segments.all()].filter(({ open, end, holds }) => holds === 0 && (!open || (isShort && end > 0)));
  const smallFiles = free.filter(({ open, end }) => !open && end < worthBytes).length;
  return free
    .filter(({ end, liveBytes, spoiledAt, lastDeathMs }) => {
      if (spoiledAt === liveBytes) return false;
      if (liveBytes === 0) return true;
      if (!eager && nowMs - lastDeathMs < quietMs) return false;
      // Putting small files together frees nothing: not what is needed when space is short.
      const isSmall = end < worthBytes && !isShort;
      return isSmall ? smallFiles > fewFiles : liveBytes <= end * deadEnough;
    })
    .sort((a, b) => aliveShare(a) - aliveShare(b));
}

function aliveShare({ liveBytes, end }: Segment): number {
  return liveBytes === 0 ? 0 : liveBytes / end;
}

/** Whether room matters more than the work of making it. */
function isTight({ segments, space }: DriveCore): boolean {
  if (space.short() || space.freeBytes < space.totalBytes * tightShare) return true;
  let dead = 0;
  let live = 0;
  for (const { end, liveBytes } of segments.all()) {
    dead += end - liveBytes;
    live += liveBytes;
  }
  return dead > live + deadMarginBytes;
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 1024 ** 2);
}
