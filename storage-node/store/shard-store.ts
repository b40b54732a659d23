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

export function createShardStore(core: DriveCore, table: DataTable): ShardStore {
  const staged = new Map<string, StagedData>();
  const pins = createPins();

  const placeSmall = async (put: Extract<ShardPut, { kind: 'small' }>, placed: Placed): Promise<void> => {
    const { dataId, shard, payload, checksum } = put;
    const length = payload.length;
    const header = encodeBlockHeader({ dataId, shard, index: 0, length, checksum });
    const extent = await core.writing(core.segments.append(header, payload));
    const row: DataRow = { shard, small: true, blockBytes: length, lastBlockBytes: length, extents: [extent] };
    placed.appended.push(extent);
    placed.writes.push(table.change(dataId, row));
  };
  const isHere = ({ kind, dataId }: ShardPut): boolean =>
    kind === 'small' || staged.has(textOf(dataId)) || table.latest(dataId) !== undefined;
  const placed = ({ writes, appended, staged: taken }: Placed, durable: boolean): void => {
    table.settle(writes, durable);
    core.segments.release(appended);
    for (const { id, data } of taken) {
      data.claimed = false;
      if (!durable) continue;
      staged.delete(id);
      core.segments.release(data.row.extents);
    }
  };
  return {
    stage: (request) => createStage(core, staged, request),
    placed,
    async place(puts) {
      if (puts.length === 0) return { writes: [], appended: [], staged: [] };
      if (!puts.every(isHere)) return undefined;
      const done: Placed = { writes: [], appended: [], staged: [] };
      const small: Promise<void>[] = [];
      for (const put of puts) if (put.kind === 'small') small.push(placeSmall(put, done));
      const outcomes = await Promise.allSettled(small);
      const failure = outcomes.find((outcome) => outcome.status === 'rejected');
      // Staged data may have been given up meanwhile.
      if (failure !== undefined || !puts.every(isHere)) {
        placed(done, false);
        if (failure !== undefined) throw failure.reason;
        return undefined;
      }
      for (const put of puts) {
        const data = put.kind === 'staged' ? staged.get(textOf(put.dataId)) : undefined;
        if (data === undefined) continue;
        data.claimed = true;
        done.staged.push({ id: textOf(put.dataId), data });
        done.writes.push(table.change(put.dataId, data.row));
      }
      return done;
    },
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
      const row = table.get(dataId) ?? staged.get(textOf(dataId))?.row;
      if (row === undefined) return 'missing';
      if (!row.extents.every(({ segment }) => core.segments.get(segment) !== undefined)) return 'damaged';
      return verify && table.get(dataId) !== undefined ? verifyBlocks(core, dataId, blockCount(row)) : 'ok';
    },
    dropForgotten() {
      const before = core.env.clock.monotonicMs() - forgottenAfterMs;
      for (const [id, { row, atMs, claimed }] of staged) {
        if (atMs > before || claimed) continue;
        staged.delete(id);
        core.segments.release(row.extents);
      }
    },
  };
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
