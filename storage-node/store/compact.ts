import { encodeBlockHeader } from './block.ts';
import { sameBytes } from './bytes.ts';
import { type DataRow, decodeData, type Extent, extentBytesOf, placeBytes } from './data-row.ts';
import { blockChunks } from './stage.ts';
import { type DataTable } from './data-table.ts';
import { type DataId, type ShardBlock } from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { type Segment } from './segment.ts';
import { isRight, readAt } from './shard-read.ts';
import { batchBytes, chooseSegment } from './compact-choice.ts';

const rowsAtOnce = 1_000;
/** Moved and written down together. */
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
 * @throws StorageError OutOfSpace when what lives has no place to go
 */
export async function compactOnce(core: DriveCore, table: DataTable, eager: boolean): Promise<number> {
  // A look that fails leaves the last one in force.
  await core.space.refresh().catch(() => {});
  const segment = chooseSegment(core, eager);
  if (segment === undefined) return 0;
  core.segments.seal(segment);
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
  /** Held until a durable row names them; of those that nobody will name, nothing but garbage stays. */
  const held: Extent[] = [];
  try {
    const outcomes = await Promise.allSettled(batch.map((stored) => copyExtents(core, { segment, stored, held })));
    const changes: { stored: Stored; row: DataRow }[] = [];
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected') throw outcome.reason;
      if (outcome.value !== undefined) changes.push({ stored: batch[i]!, row: outcome.value });
    }
    await nameCopies(core, table, changes);
    return changes.length === batch.length;
  } finally {
    core.segments.release(held);
  }
}

/** A row that changed meanwhile is left to the next pass; what was copied of it is garbage of its new file. */
async function nameCopies(
  core: DriveCore,
  table: DataTable,
  changes: readonly { stored: Stored; row: DataRow }[],
): Promise<void> {
  const writes = changes
    .filter(({ stored }) => isUnchanged(core, table, stored))
    .map(({ stored, row }) => table.change(stored.dataId, row));
  try {
    if (writes.length > 0) await core.writing(core.index.write(writes));
    table.settle(writes, true);
  } catch (error) {
    table.settle(writes, false);
    throw error;
  }
}

function isUnchanged(core: DriveCore, table: DataTable, { dataId, bytes }: Stored): boolean {
  const now = core.index.get('data', dataId);
  return now !== undefined && !table.changing(dataId) && sameBytes(now, bytes);
}

/**
 * Copies the extents of a row that lie in a file.
 * @param held gets every copy as soon as it holds its file, whatever becomes of it
 * @returns the row as it is then; undefined when a block is not right
 */
async function copyExtents(
  core: DriveCore,
  { segment, stored, held }: { segment: Segment; stored: Stored; held: Extent[] },
): Promise<DataRow | undefined> {
  const { dataId, row } = stored;
  const extents: Extent[] = [];
  for (const extent of row.extents) {
    if (extent.segment !== segment.id) {
      extents.push(extent);
      continue;
    }
    const of = { dataId, row, extent, held };
    const copy = row.small ? await copySmall(core, of) : await copyExtent(core, of);
    if (copy === undefined) return undefined;
    extents.push(copy);
  }
  return { ...row, extents };
}

interface CopyOrder {
  dataId: DataId;
  row: DataRow;
  extent: Extent;
  held: Extent[];
}

/** Undefined when the block is not right. */
async function copySmall(core: DriveCore, { dataId, row, held }: CopyOrder): Promise<Extent | undefined> {
  const blocks = await readRight(core, { dataId, row }, { first: 0, count: 1 });
  if (blocks === undefined) return undefined;
  try {
    const { payload, checksum } = blocks.found[0]!;
    const header = encodeBlockHeader({ dataId, shard: row.shard, index: 0, length: payload.length, checksum });
    const copy = await core.writing(core.segments.append(header, payload));
    held.push(copy);
    return copy;
  } finally {
    blocks.release();
  }
}

/** Keeps blocks that lie side by side so. Undefined when one of them is not right. */
async function copyExtent(core: DriveCore, { dataId, row, extent, held }: CopyOrder): Promise<Extent | undefined> {
  const { segment, offset } = await core.writing(core.segments.reserve(extentBytesOf(row, extent), row.wide));
  const copy: Extent = { ...extent, segment: segment.id, offset };
  held.push(copy);
  const stride = placeBytes(row, row.blockBytes);
  const atOnce = Math.max(1, Math.floor(readBytes / stride));
  const end = extent.firstBlock + extent.blocks;
  for (let first = extent.firstBlock; first < end; first += atOnce) {
    const blocks = await readRight(core, { dataId, row }, { first, count: Math.min(atOnce, end - first) });
    if (blocks === undefined) return undefined;
    const chunks = blocks.found.flatMap(({ index, payload, checksum }) => {
      const header = encodeBlockHeader({ dataId, shard: row.shard, index, length: payload.length, checksum });
      return blockChunks(row, header, payload);
    });
    const at = offset + (first - extent.firstBlock) * stride;
    await core.writing(core.segments.write(segment, chunks, at)).finally(blocks.release);
  }
  await core.writing(core.segments.sync([segment]));
  return copy;
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
