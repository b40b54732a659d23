import { encodeBlockHeader } from './block.ts';
import { textOf } from './bytes.ts';
import { blockCount, type DataRow, type Extent } from './data-row.ts';
import { type DataTable } from './data-table.ts';
import { type DataCheck, type DataId, type ShardPut, type StageRequest, type StageWriter } from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { type IndexWrite } from './index-store.ts';
import { verifyBlocks } from './shard-read.ts';
import { createStage, type StagedData } from './stage.ts';

/** Data whose bytes are durable, and the rows that will say so. */
export interface Placed {
  writes: IndexWrite[];
  /** Appended for this: held until the rows are durable. */
  appended: Extent[];
  staged: { id: string; data: StagedData }[];
}

/** The shards of a drive: taking them in, letting them go, and who still needs them. */
export interface ShardStore {
  stage(request: StageRequest): StageWriter;
  /** Gives up data that was staged in full, unless a register names it or is about to. */
  unstage(dataId: DataId): void;
  /** Makes the bytes of new data durable. Undefined: staged data is not there (any more). */
  place(puts: readonly ShardPut[]): Promise<Placed | undefined>;
  /** To be called once the rows of `place` are durable, or the write of them failed. */
  placed(placed: Placed, durable: boolean): void;
  /** Rows that let go of data, unless somebody still reads it; `kept` is what could not go yet. */
  free(dataIds: readonly DataId[]): { writes: IndexWrite[]; kept: DataId[] };
  /** To be called once the rows of `free` are durable, or the write of them failed. Other rows are passed over. */
  freed(writes: readonly IndexWrite[], durable: boolean): void;
  pin(dataIds: readonly DataId[]): { release: () => void };
  checkData(dataId: DataId, verify: boolean): Promise<DataCheck>;
  /** Gives up staged data that nobody has asked for in a long time. */
  dropForgotten(): void;
}

/** Staged data whose writer vanished without a word is given up after this long. */
const forgottenAfterMs = 3_600_000;

/** The parts of a shard store, as its methods share them. */
interface Parts {
  core: DriveCore;
  table: DataTable;
  staged: Map<string, StagedData>;
}

export function createShardStore(core: DriveCore, table: DataTable): ShardStore {
  const staged = new Map<string, StagedData>();
  const pins = createPins();
  const parts: Parts = { core, table, staged };
  return {
    stage: (request) => createStage(core, staged, request),
    unstage(dataId) {
      const data = staged.get(textOf(dataId));
      if (data !== undefined && !data.claimed) dropStaged(parts, textOf(dataId), data);
    },
    place: (puts) => place(parts, puts),
    placed: (done, durable) => placed(parts, done, durable),
    free(dataIds) {
      const writes: IndexWrite[] = [];
      const kept: DataId[] = [];
      for (const dataId of dataIds) {
        if (pins.has(dataId)) kept.push(dataId);
        else if (table.latest(dataId) !== undefined) writes.push(table.change(dataId, undefined));
      }
      return { writes, kept };
    },
    freed: (writes, durable) => table.settle(writes, durable),
    pin: pins.pin,
    async checkData(dataId, verify) {
      const named = table.get(dataId);
      const row = named ?? staged.get(textOf(dataId))?.row;
      if (row === undefined) return 'missing';
      if (!row.extents.every(({ segment }) => core.segments.get(segment) !== undefined)) return 'damaged';
      if (named === undefined) return 'staged';
      return verify ? verifyBlocks(core, dataId, blockCount(row)) : 'ok';
    },
    dropForgotten() {
      const before = core.env.clock.monotonicMs() - forgottenAfterMs;
      for (const [id, data] of staged) if (data.atMs <= before && !data.claimed) dropStaged(parts, id, data);
    },
  };
}

function dropStaged({ core, staged }: Parts, id: string, { row }: StagedData): void {
  staged.delete(id);
  core.segments.release(row.extents);
}

async function place(parts: Parts, puts: readonly ShardPut[]): Promise<Placed | undefined> {
  const { table, staged } = parts;
  const done: Placed = { writes: [], appended: [], staged: [] };
  if (puts.length === 0) return done;
  if (!puts.every((put) => isHere(parts, put))) return undefined;
  const small: Promise<void>[] = [];
  for (const put of puts) if (put.kind === 'small') small.push(placeSmall(parts, put, done));
  if (small.length > 0) {
    try {
      await (small.length === 1 ? small[0] : Promise.all(small));
    } catch (error) {
      // All of them have an end before what was placed is given up.
      await Promise.allSettled(small);
      placed(parts, done, false);
      throw error;
    }
  }
  // Staged data may have been given up meanwhile.
  if (!puts.every((put) => isHere(parts, put))) {
    placed(parts, done, false);
    return undefined;
  }
  for (const put of puts) {
    const id = put.kind === 'staged' ? textOf(put.dataId) : undefined;
    const data = id === undefined ? undefined : staged.get(id);
    if (data === undefined) continue;
    data.claimed = true;
    done.staged.push({ id: id!, data });
    done.writes.push(table.change(put.dataId, data.row));
  }
  return done;
}

function isHere({ staged, table }: Parts, { kind, dataId }: ShardPut): boolean {
  return kind === 'small' || staged.has(textOf(dataId)) || table.latest(dataId) !== undefined;
}

async function placeSmall(
  { core, table }: Parts,
  put: Extract<ShardPut, { kind: 'small' }>,
  done: Placed,
): Promise<void> {
  const { dataId, shard, payload, checksum } = put;
  const length = payload.length;
  const header = encodeBlockHeader({ dataId, shard, index: 0, length, checksum });
  const extent = await core.writing(core.segments.append(header, payload));
  const row: DataRow = {
    shard,
    small: true,
    wide: false,
    blockBytes: length,
    lastBlockBytes: length,
    extents: [extent],
  };
  done.appended.push(extent);
  done.writes.push(table.change(dataId, row));
}

function placed({ core, table, staged }: Parts, done: Placed, durable: boolean): void {
  table.settle(done.writes, durable);
  core.segments.release(done.appended);
  for (const { id, data } of done.staged) {
    data.claimed = false;
    if (!durable) continue;
    staged.delete(id);
    core.segments.release(data.row.extents);
  }
}

function createPins(): { has: (dataId: DataId) => boolean; pin: ShardStore['pin'] } {
  const pins = new Map<string, number>();
  return {
    has: (dataId) => pins.size > 0 && pins.has(textOf(dataId)),
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
  };
}
