import { encodeBlockHeader } from './block.ts';
import { sameBytes } from './bytes.ts';
import { type DataRow, decodeData, type Extent, extentBytesOf, placeBytes } from './data-row.ts';
import { blockChunks } from './stage.ts';
import { type DataTable } from './data-table.ts';
import { type DataId, type ShardBlock } from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { type Segment } from './segment.ts';
import { isRight, readAt } from './shard-read.ts';

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
const rowsAtOnce = 1_000;
/** Moved and written down together. */
const batchBytes = 4 * 1024 * 1024;
const batchRows = 256;
const readBytes = 1024 * 1024;
const mostPasses = 4;

interface Stored {
  dataId: DataId;
  bytes: Buffer;
  row: DataRow;
}

/**
 * Moves what is alive out of the deadest segment file and deletes the file. What does not match its checksum is not
 * copied, and the file stays until those blocks were healed: nothing is deleted that was not replaced.
 * @param eager takes any file that is dead enough, also one that is still dying
 * @returns bytes given back
 */
export async function compactOnce(core: DriveCore, table: DataTable, eager: boolean): Promise<number> {
  const segment = deadest(core, eager || isTight(core));
  if (segment === undefined) return 0;
  // Deleted only once a look finds nothing alive: rows change while others are moved.
  for (let pass = 0; pass < mostPasses; pass++) {
    const { found, spoiled } = await empty(core, table, segment);
    if (spoiled) {
      segment.spoiledAt = segment.liveBytes;
      return 0;
    }
    if (found > 0) continue;
    await core.writing(core.segments.drop(segment));
    return segment.end;
  }
  return 0;
}

/** Whether room matters more than the work of making it. */
function isTight({ segments, space }: DriveCore): boolean {
  if (space.full() || space.freeBytes < space.totalBytes * tightShare) return true;
  let dead = 0;
  let live = 0;
  for (const { end, liveBytes } of segments.all()) {
    dead += end - liveBytes;
    live += liveBytes;
  }
  return dead > live + deadMarginBytes;
}

function deadest(core: DriveCore, eager: boolean): Segment | undefined {
  const nowMs = core.env.clock.monotonicMs();
  const closed = [...core.segments.all()].filter(({ open, holds }) => !open && holds === 0);
  const smallFiles = closed.filter(({ end }) => end < worthBytes).length;
  let found: Segment | undefined;
  for (const segment of closed) {
    const { liveBytes, end, spoiledAt, lastDeathMs } = segment;
    const isSmall = end < worthBytes;
    const due = liveBytes === 0 || (isSmall ? smallFiles > fewFiles : liveBytes <= end * deadEnough);
    if (!due || spoiledAt === liveBytes) continue;
    if (liveBytes > 0 && !eager && nowMs - lastDeathMs < quietMs) continue;
    if (found === undefined || liveBytes / end < found.liveBytes / found.end) found = segment;
  }
  return found;
}

/** Moves every live extent of a file once. */
async function empty(
  core: DriveCore,
  table: DataTable,
  segment: Segment,
): Promise<{ found: number; spoiled: boolean }> {
  let found = 0;
  let spoiled = false;
  let batch: Stored[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (!(await moveBatch(core, table, { segment, batch }))) spoiled = true;
    batch = [];
    bytes = 0;
  };
  for await (const stored of rowsIn(core, segment)) {
    found += 1;
    batch.push(stored);
    for (const extent of stored.row.extents) bytes += extentBytesOf(stored.row, extent);
    if (bytes >= batchBytes || batch.length === batchRows) await flush();
  }
  if (batch.length > 0) await flush();
  return { found, spoiled };
}

async function* rowsIn(core: DriveCore, segment: Segment): AsyncGenerator<Stored> {
  let from: Buffer | undefined = Buffer.alloc(0);
  while (from !== undefined) {
    const found: Stored[] = [];
    let rows = 0;
    let last: Buffer | undefined;
    core.index.each({ table: 'data', from }, (key, value) => {
      if (rows++ === rowsAtOnce) return false;
      last = Buffer.from(key);
      const row = decodeData(value);
      if (row.extents.some((extent) => extent.segment === segment.id)) {
        found.push({ dataId: last, bytes: Buffer.from(value), row });
      }
      return true;
    });
    yield* found;
    from = last === undefined || rows <= rowsAtOnce ? undefined : Buffer.concat([last, Buffer.from([0])]);
    await new Promise<void>((resolve) => {
      core.env.clock.setTimer(0, resolve);
    });
  }
}

/** @returns false when some of it could not be copied */
async function moveBatch(
  core: DriveCore,
  table: DataTable,
  { segment, batch }: { segment: Segment; batch: readonly Stored[] },
): Promise<boolean> {
  const moves = batch.map(async (stored) => ({ stored, moved: await copyExtents(core, segment, stored) }));
  const copies: Extent[] = [];
  const changes: { stored: Stored; row: DataRow }[] = [];
  let whole = true;
  for (const outcome of await Promise.allSettled(moves)) {
    if (outcome.status === 'rejected') {
      core.segments.release(copies);
      throw outcome.reason;
    }
    const { stored, moved } = outcome.value;
    copies.push(...moved.copies);
    if (moved.row === undefined) whole = false;
    else changes.push({ stored, row: moved.row });
  }
  // A row that changed meanwhile is left to the next pass; what was copied of it is garbage of its new file.
  const writes = changes
    .filter(({ stored }) => isUnchanged(core, table, stored))
    .map(({ stored, row }) => table.change(stored.dataId, row));
  try {
    if (writes.length > 0) await core.writing(core.index.write(writes));
    table.settle(writes, true);
  } catch (error) {
    table.settle(writes, false);
    throw error;
  } finally {
    core.segments.release(copies);
  }
  return whole;
}

function isUnchanged(core: DriveCore, table: DataTable, { dataId, bytes }: Stored): boolean {
  const now = core.index.get('data', dataId);
  return now !== undefined && !table.changing(dataId) && sameBytes(now, bytes);
}

/** Copies the extents of a row that lie in a file; row undefined when a block of them is not right. */
async function copyExtents(
  core: DriveCore,
  segment: Segment,
  { dataId, row }: Stored,
): Promise<{ row: DataRow | undefined; copies: Extent[] }> {
  const copies: Extent[] = [];
  const extents: Extent[] = [];
  for (const extent of row.extents) {
    if (extent.segment !== segment.id) extents.push(extent);
    else {
      const copy = row.small ? await copySmall(core, dataId, row) : await copyExtent(core, { dataId, row, extent });
      if (copy.extent !== undefined) copies.push(copy.extent);
      if (!copy.right) return { row: undefined, copies };
      extents.push(copy.extent!);
    }
  }
  return { row: { ...row, extents }, copies };
}

interface Copy {
  right: boolean;
  extent: Extent | undefined;
}

async function copySmall(core: DriveCore, dataId: DataId, row: DataRow): Promise<Copy> {
  const blocks = await readRight(core, { dataId, row }, { first: 0, count: 1 });
  if (blocks === undefined) return { right: false, extent: undefined };
  try {
    const { payload, checksum } = blocks.found[0]!;
    const header = encodeBlockHeader({ dataId, shard: row.shard, index: 0, length: payload.length, checksum });
    return { right: true, extent: await core.writing(core.segments.append(header, payload)) };
  } finally {
    blocks.release();
  }
}

/** Keeps blocks that lie side by side so. */
async function copyExtent(
  core: DriveCore,
  { dataId, row, extent }: { dataId: DataId; row: DataRow; extent: Extent },
): Promise<Copy> {
  const { segment, offset } = await core.writing(core.segments.reserve(extentBytesOf(row, extent), row.wide));
  const copy: Extent = { ...extent, segment: segment.id, offset };
  const stride = placeBytes(row, row.blockBytes);
  const atOnce = Math.max(1, Math.floor(readBytes / stride));
  const end = extent.firstBlock + extent.blocks;
  for (let first = extent.firstBlock; first < end; first += atOnce) {
    const blocks = await readRight(core, { dataId, row }, { first, count: Math.min(atOnce, end - first) });
    if (blocks === undefined) return { right: false, extent: copy };
    const chunks = blocks.found.flatMap(({ index, payload, checksum }) => {
      const header = encodeBlockHeader({ dataId, shard: row.shard, index, length: payload.length, checksum });
      return blockChunks(row, header, payload);
    });
    const at = offset + (first - extent.firstBlock) * stride;
    await core.writing(core.segments.write(segment, chunks, at)).finally(blocks.release);
  }
  await core.writing(core.segments.sync([segment]));
  return { right: true, extent: copy };
}

/** Undefined when one of the blocks is not what was stored. */
async function readRight(
  core: DriveCore,
  { dataId, row }: { dataId: DataId; row: DataRow },
  { first, count }: { first: number; count: number },
): Promise<{ found: ShardBlock[]; release: () => void } | undefined> {
  const reply = await readAt(core, row, { dataId, first, count });
  if (reply.kind !== 'blocks') return undefined;
  if (
    reply.blocks.length === count &&
    reply.blocks.every((block) => isRight(core, block, { dataId, shard: row.shard }))
  ) {
    return { found: reply.blocks, release: reply.release };
  }
  reply.release();
  return undefined;
}
