import { blockHeaderBytes, blockSeed, encodeBlockHeader } from './block.ts';
import { type DataId } from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { type IndexWrite } from './index-store.ts';
import { blockCount, blockLength, type DataRow, decodeData, encodeData, type Extent } from './rows.ts';
import { type Segment } from './segments.ts';
import { type ShardStore } from './shard-store.ts';

/** Files with less than this share alive are rewritten. */
const deadEnough = 0.5;
/** Smaller files are left alone unless nothing in them is alive. */
const worthBytes = 8 * 1024 * 1024;
const rowsAtOnce = 2_000;

/**
 * Moves what is alive out of the deadest segment file and deletes the file. What does not match its checksum is not
 * copied: the row then points nowhere, reads as damaged, and is healed from the other drives.
 */
export async function compactOnce(core: DriveCore, shards: ShardStore): Promise<number> {
  const segment = deadest(core);
  if (segment === undefined) return 0;
  for await (const { dataId, row } of rowsIn(core, segment)) await move(core, shards, { dataId, row });
  // Deleted only once a last look finds nothing alive: a row may have come while others were moved.
  for await (const { dataId, row } of rowsIn(core, segment)) await move(core, shards, { dataId, row });
  const bytes = segment.end;
  await core.segments.drop(segment);
  return bytes;
}

function deadest(core: DriveCore): Segment | undefined {
  let found: Segment | undefined;
  for (const segment of core.segments.all()) {
    if (segment.open || segment.holds > 0 || segment.liveBytes > segment.end * deadEnough) continue;
    if (segment.end < worthBytes && segment.liveBytes > 0) continue;
    if (found === undefined || segment.liveBytes / segment.end < found.liveBytes / found.end) found = segment;
  }
  return found;
}

async function* rowsIn(core: DriveCore, segment: Segment): AsyncGenerator<{ dataId: DataId; row: DataRow }> {
  let from: Uint8Array = new Uint8Array(0);
  for (;;) {
    const found: { dataId: DataId; row: DataRow }[] = [];
    let rows = 0;
    let last: Uint8Array | undefined;
    for (const { key, value } of core.index.range('data', from, undefined)) {
      if (rows++ === rowsAtOnce) break;
      last = key;
      const row = decodeData(value);
      if (row.extents.some((extent) => extent.segment === segment.id)) found.push({ dataId: Buffer.from(key), row });
    }
    yield* found;
    if (last === undefined || rows <= rowsAtOnce) return;
    from = Buffer.concat([last, Buffer.from([0])]);
    await new Promise<void>((resolve) => {
      core.env.clock.setTimer(0, resolve);
    });
  }
}

async function move(core: DriveCore, shards: ShardStore, entry: { dataId: DataId; row: DataRow }): Promise<void> {
  const { dataId, row } = entry;
  const blocks: Extent[] = [];
  for (let index = 0; index < blockCount(row); index++) {
    const reply = await shards.blocks({ dataId, first: index, count: 1 });
    if (reply.kind !== 'blocks') return;
    const { payload, checksum } = reply.blocks[0]!;
    const right = core.hasher.xxh64Of(payload, blockSeed(dataId, row.shard, index)) === checksum;
    const copy = Buffer.from(payload);
    reply.release();
    if (!right) return;
    const header = encodeBlockHeader({ dataId, shard: row.shard, index, length: copy.length, checksum });
    const extent = await core.writing(core.segments.append([header, copy]));
    blocks.push({ ...extent, firstBlock: index });
  }
  const write: IndexWrite = { table: 'data', key: dataId, value: encodeData({ ...row, extents: blocks }) };
  // Freed meanwhile: what was copied is garbage of the new file.
  if (shards.rowOf(dataId) !== undefined) {
    await core.writing(core.index.write([write]));
    for (const extent of blocks) {
      const target = core.segments.get(extent.segment);
      if (target !== undefined) target.liveBytes += blockHeaderBytes + blockLength(row, extent.firstBlock);
    }
  }
  core.segments.release(blocks);
}
