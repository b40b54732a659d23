import { textOf } from './bytes.ts';
import { type DataRow, decodeData, encodeData, extentBytesOf } from './data-row.ts';
import { type DataId } from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { type IndexWrite } from './index-store.ts';

/**
 * Where shards lie, and how much of each segment file is alive. A change counts from the moment it is asked for, so
 * that changes of one row that overlap are counted once each; readers see it when it is durable.
 */
export interface DataTable {
  /** The durable row. */
  get(dataId: DataId): DataRow | undefined;
  /** The row as the last change that was asked for leaves it. */
  latest(dataId: DataId): DataRow | undefined;
  /** A change of this row is not durable yet. */
  changing(dataId: DataId): boolean;
  /** Counts a change; the write it answers must follow at once. Undefined removes the row. */
  change(dataId: DataId, row: DataRow | undefined): IndexWrite;
  /** The changes of these rows are durable, or failed: then the durable rows count again. */
  settle(writes: readonly IndexWrite[], durable: boolean): void;
  /** Counts what is alive in files of earlier lives; resolves when that is done. */
  count(stopped: () => boolean): Promise<void>;
}

/** Rows looked at before others get their turn. */
const countedAtOnce = 1_000;

export function createDataTable({ index, segments, env }: Pick<DriveCore, 'index' | 'segments' | 'env'>): DataTable {
  const pending = new Map<string, { row: DataRow | undefined; write: IndexWrite }>();
  /** How far the counting has come, and the rows ahead of it that changed meanwhile. */
  let countedTo: Buffer | undefined = Buffer.alloc(0);
  const changedAhead = new Set<string>();

  const account = (row: DataRow | undefined, sign: 1 | -1): void => {
    for (const extent of row?.extents ?? []) {
      const segment = segments.get(extent.segment);
      if (segment !== undefined) segment.liveBytes += sign * extentBytesOf(row!, extent);
    }
  };
  const bury = (row: DataRow | undefined): void => {
    for (const extent of row?.extents ?? []) {
      const segment = segments.get(extent.segment);
      if (segment !== undefined) segment.lastDeathMs = env.clock.monotonicMs();
    }
  };
  const get = (dataId: DataId): DataRow | undefined => {
    const bytes = index.get('data', dataId);
    return bytes === undefined ? undefined : decodeData(bytes);
  };
  const latest = (dataId: DataId): DataRow | undefined => {
    const change = pending.get(textOf(dataId));
    return change === undefined ? get(dataId) : change.row;
  };
  /** Whether the row's bytes are among those counted so far. */
  const isCounted = (dataId: DataId, id: string): boolean =>
    countedTo === undefined || changedAhead.has(id) || countedTo.compare(dataId) >= 0;
  return {
    get,
    latest,
    changing: (dataId) => pending.has(textOf(dataId)),
    change(dataId, row) {
      const id = textOf(dataId);
      bury(latest(dataId));
      if (isCounted(dataId, id)) account(latest(dataId), -1);
      else changedAhead.add(id);
      account(row, 1);
      const write: IndexWrite = { table: 'data', key: dataId, value: row === undefined ? undefined : encodeData(row) };
      pending.set(id, { row, write });
      return write;
    },
    settle(writes, durable) {
      for (const write of writes) {
        if (write.table !== 'data') continue;
        const id = textOf(write.key);
        const change = pending.get(id);
        if (change?.write !== write) continue;
        pending.delete(id);
        if (durable) continue;
        account(change.row, -1);
        account(get(write.key), 1);
      }
    },
    async count(stopped) {
      while (countedTo !== undefined && !stopped()) {
        let rows = 0;
        let last: Buffer | undefined;
        index.each({ table: 'data', from: countedTo }, (key, value) => {
          if (rows++ === countedAtOnce) return false;
          last = Buffer.from(key);
          if (!changedAhead.has(textOf(key))) account(decodeData(value), 1);
          return true;
        });
        countedTo = last === undefined || rows <= countedAtOnce ? undefined : Buffer.concat([last, Buffer.from([0])]);
        await new Promise<void>((resolve) => {
          env.clock.setTimer(0, resolve);
        });
      }
      changedAhead.clear();
    },
  };
}
