import { blockHeaderBytes, blockSeed, decodeBlockHeader, encodeBlockHeader } from './block.ts';
import {
  type BlocksReply,
  type BlocksRequest,
  type DataCheck,
  type DataId,
  type ShardBlock,
  type ShardPut,
  type SmallShard,
  type StageRequest,
  type StageWriter,
} from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { type IndexWrite } from './index-store.ts';
import { blockLength, type DataRow, decodeData, encodeData, type Extent, textOf } from './rows.ts';
import { createStage, type StagedData } from './stage.ts';

/** The shards of a drive: where they lie, reading them, and giving their space back. */
export interface ShardStore {
  stage(request: StageRequest): StageWriter;
  /** Index rows for new data; the bytes are durable when it resolves. Undefined: staged data is not there. */
  place(puts: readonly ShardPut[]): Promise<IndexWrite[] | undefined>;
  /** To be called once the rows of `place` are durable. */
  placed(puts: readonly ShardPut[]): void;
  small(dataId: DataId): SmallShard;
  blocks(request: BlocksRequest): Promise<BlocksReply>;
  checkData(dataId: DataId, verify: boolean): Promise<DataCheck>;
  /** Index rows that let go of data, unless somebody still reads it; `kept` is what could not go yet. */
  free(dataIds: readonly DataId[]): { writes: IndexWrite[]; kept: DataId[] };
  pin(dataIds: readonly DataId[]): { release: () => void };
  dropStaged(): void;
  rowOf(dataId: DataId): DataRow | undefined;
}

export function createShardStore(core: DriveCore): ShardStore {
  const staged = new Map<string, StagedData>();
  const pins = new Map<string, number>();

  const rowOf = (dataId: DataId): DataRow | undefined => {
    const bytes = core.index.get('data', dataId);
    return bytes === undefined ? undefined : decodeData(bytes);
  };
  const liveOf = (row: DataRow, sign: 1 | -1): void => {
    for (const extent of row.extents) {
      const segment = core.segments.get(extent.segment);
      if (segment !== undefined) segment.liveBytes += sign * extentLength(row, extent);
    }
  };
  const placeSmall = async (put: Extract<ShardPut, { kind: 'small' }>): Promise<IndexWrite> => {
    const { dataId, shard, payload, checksum } = put;
    const header = encodeBlockHeader({ dataId, shard, index: 0, length: payload.length, checksum });
    const extent = await core.segments.append([header, payload]);
    const length = payload.length;
    const row: DataRow = { shard, small: true, blockBytes: length, lastBlockBytes: length, extents: [extent] };
    return { table: 'data', key: dataId, value: encodeData(row) };
  };
  return {
    rowOf,
    stage: (request) => createStage(core, staged, request),
    async place(puts) {
      const missing = puts.some(
        (put) => put.kind === 'staged' && !staged.has(textOf(put.dataId)) && rowOf(put.dataId) === undefined,
      );
      if (missing) return undefined;
      return Promise.all(
        puts.map((put): IndexWrite | Promise<IndexWrite> => {
          if (put.kind === 'small') return placeSmall(put);
          const data = staged.get(textOf(put.dataId));
          const value = data === undefined ? core.index.get('data', put.dataId)! : encodeData(data.row);
          return { table: 'data', key: put.dataId, value };
        }),
      );
    },
    placed(puts) {
      for (const { dataId, kind } of puts) {
        const row = rowOf(dataId);
        const isNew = staged.delete(textOf(dataId)) || kind === 'small';
        if (row === undefined || !isNew) continue;
        liveOf(row, 1);
        core.segments.release(row.extents);
      }
    },
    small(dataId) {
      const row = rowOf(dataId);
      if (row === undefined) return { kind: 'missing', dataId };
      const [extent] = row.extents;
      const segment = extent === undefined ? undefined : core.segments.get(extent.segment);
      if (segment === undefined) return { kind: 'damaged', dataId };
      const bytes = Buffer.allocUnsafe(blockHeaderBytes + row.lastBlockBytes);
      const block = parseBlock(readNow(segment.handle.readNow, bytes, extent!.offset), { dataId, row, index: 0 });
      return block === undefined ? { kind: 'damaged', dataId } : { kind: 'shard', dataId, shard: row.shard, ...block };
    },
    blocks: (request) => readBlocks(core, rowOf(request.dataId), request),
    async checkData(dataId, verify) {
      const row = rowOf(dataId) ?? staged.get(textOf(dataId))?.row;
      if (row === undefined) return 'missing';
      if (!row.extents.every(({ segment }) => core.segments.get(segment) !== undefined)) return 'damaged';
      return verify ? verifyData(core, row, dataId) : 'ok';
    },
    free(dataIds) {
      const writes: IndexWrite[] = [];
      const kept: DataId[] = [];
      for (const dataId of dataIds) {
        if (pins.has(textOf(dataId))) kept.push(dataId);
        else {
          const row = rowOf(dataId);
          if (row !== undefined) liveOf(row, -1);
          writes.push({ table: 'data', key: dataId, value: undefined });
        }
      }
      return { writes, kept };
    },
    pin(dataIds) {
      const ids = dataIds.map(textOf);
      for (const id of ids) pins.set(id, (pins.get(id) ?? 0) + 1);
      let held = true;
      return {
        release() {
          if (!held) return;
          held = false;
          for (const id of ids) {
            const left = pins.get(id)! - 1;
            if (left === 0) pins.delete(id);
            else pins.set(id, left);
          }
        },
      };
    },
    dropStaged() {
      for (const { row } of staged.values()) core.segments.release(row.extents);
      staged.clear();
    },
  };
}

/** Bytes of an extent on disk, headers included. */
export function extentLength(row: DataRow, extent: Extent): number {
  const last = extent.firstBlock + extent.blocks - 1;
  const full = extent.blocks * (blockHeaderBytes + row.blockBytes);
  return full - row.blockBytes + blockLength(row, last);
}

function readNow(
  read: (target: Uint8Array, position: number) => number,
  target: Buffer,
  position: number,
): Buffer | undefined {
  try {
    return read(target, position) === target.length ? target : undefined;
  } catch {
    return undefined;
  }
}

/** The block that the bytes hold, when its header says that it is the one that was looked for. */
function parseBlock(
  bytes: Uint8Array | undefined,
  wanted: { dataId: DataId; row: DataRow; index: number },
): ShardBlock | undefined {
  const header = bytes === undefined ? undefined : decodeBlockHeader(bytes);
  if (header === undefined || bytes === undefined) return undefined;
  const { dataId, row, index } = wanted;
  const right =
    header.index === index &&
    header.shard === row.shard &&
    header.length === blockLength(row, index) &&
    Buffer.compare(header.dataId, dataId) === 0;
  if (!right) return undefined;
  return {
    index,
    payload: bytes.subarray(blockHeaderBytes, blockHeaderBytes + header.length),
    checksum: header.checksum,
  };
}

async function readBlocks(core: DriveCore, row: DataRow | undefined, request: BlocksRequest): Promise<BlocksReply> {
  if (row === undefined) return { kind: 'missing' };
  const stride = blockHeaderBytes + row.blockBytes;
  const blocks: ShardBlock[] = [];
  const held: { release: () => void }[] = [];
  const release = (): void => {
    for (const one of held.splice(0)) one.release();
  };
  for (const extent of row.extents) {
    const from = Math.max(request.first, extent.firstBlock);
    const to = Math.min(request.first + request.count, extent.firstBlock + extent.blocks);
    if (from >= to) continue;
    const segment = core.segments.get(extent.segment);
    const length = (to - from - 1) * stride + blockHeaderBytes + blockLength(row, to - 1);
    const memory = core.memory.take(length);
    held.push(memory);
    const target = memory.bytes.subarray(0, length);
    const offset = extent.offset + (from - extent.firstBlock) * stride;
    const read = await segment?.handle.read(target, offset).catch(() => 0);
    for (let index = from; index < to; index++) {
      const bytes = target.subarray(
        (index - from) * stride,
        (index - from) * stride + blockHeaderBytes + blockLength(row, index),
      );
      const block = read === length ? parseBlock(bytes, { dataId: request.dataId, row, index }) : undefined;
      if (block === undefined) {
        release();
        return { kind: 'damaged' };
      }
      blocks.push(block);
    }
  }
  return { kind: 'blocks', shard: row.shard, blocks, release };
}

/** Reads all of it and compares every block with its checksum. */
async function verifyData(core: DriveCore, row: DataRow, dataId: DataId): Promise<DataCheck> {
  for (const extent of row.extents) {
    for (let index = extent.firstBlock; index < extent.firstBlock + extent.blocks; index++) {
      const reply = await readBlocks(core, row, { dataId, first: index, count: 1 });
      if (reply.kind !== 'blocks') return 'damaged';
      const { payload, checksum } = reply.blocks[0]!;
      const right = core.hasher.xxh64Of(payload, blockSeed(dataId, row.shard, index)) === checksum;
      reply.release();
      if (!right) return 'damaged';
    }
  }
  return 'ok';
}
