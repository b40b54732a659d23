import { type IndexStore, type IndexWrite, type Table, tables } from '../../../storage-node/store/index-store.ts';
import { type SimDisk } from './sim-file-system.ts';

/** The index of a simulated disk: what lies on the disk, and as many lives of the program that uses it as one likes. */
export interface SimIndexDisk {
  open(): IndexStore;
  /** To be called with the disk's own crash: batches that were not synced are there whole or not at all. */
  crash(): void;
  /** Row bytes as they lie there, for letting them rot. */
  rows(table: Table): Map<string, Buffer>;
  /** Loses a whole table. */
  wipe(table: Table): void;
}

interface Rows {
  /** Sorted. */
  keys: string[];
  values: Map<string, Buffer>;
}

export function createSimIndex(disk: SimDisk, random: () => number): SimIndexDisk {
  const stored = new Map<Table, Rows>(tables.map((table) => [table, { keys: [], values: new Map() }]));
  const of = (table: Table): Rows => stored.get(table)!;
  /** Commits that were begun and not ended. */
  let begun: IndexWrite[][] = [];

  const apply = (writes: readonly IndexWrite[]): void => {
    for (const { table, key, value } of writes) {
      const rows = of(table);
      const id = text(key);
      const had = rows.values.has(id);
      if (value === undefined) {
        if (had) rows.keys.splice(placeOf(rows.keys, id), 1);
        rows.values.delete(id);
      } else {
        if (!had) rows.keys.splice(placeOf(rows.keys, id), 0, id);
        rows.values.set(id, Buffer.from(value));
      }
    }
  };
  const open = (): IndexStore => {
    const own = disk.life;
    let waiting: { writes: IndexWrite[]; done: Promise<void> } | undefined;
    let last: Promise<void> = Promise.resolve();
    const commit = async (writes: IndexWrite[]): Promise<void> => {
      await last.catch(() => {});
      waiting = undefined;
      disk.alive(own);
      begun.push(writes);
      try {
        disk.fault('sync-index', '');
        disk.alive(own);
        await disk.delay();
        disk.alive(own);
        apply(writes);
      } finally {
        begun = begun.filter((one) => one !== writes);
      }
    };
    return {
      get(table, key) {
        disk.alive(own);
        const value = of(table).values.get(text(key));
        return value === undefined ? undefined : Buffer.from(value);
      },
      each({ table, from, to }, visit) {
        disk.alive(own);
        const { keys, values } = of(table);
        const end = to === undefined ? undefined : text(to);
        for (let i = placeOf(keys, text(from)); i < keys.length; i++) {
          const id = keys[i]!;
          if (end !== undefined && id >= end) return;
          const lent = { key: Buffer.from(id, 'latin1'), value: Buffer.from(values.get(id)!) };
          const more = visit(lent.key, lent.value);
          // Lent is lent: whoever keeps a view sees it change.
          lent.key.fill(0xee);
          lent.value.fill(0xee);
          if (!more) return;
        }
      },
      write(writes) {
        disk.alive(own);
        const copies = writes.map((write) => ({ ...write, key: Uint8Array.from(write.key) }));
        if (waiting !== undefined) {
          waiting.writes.push(...copies);
          return waiting.done;
        }
        const done = commit(copies);
        waiting = { writes: copies, done };
        last = done;
        return done;
      },
      count: (table) => of(table).keys.length,
      sizeBytes: () => tables.reduce((sum, table) => sum + of(table).keys.length * 200, 0),
      close: () => last.catch(() => {}),
    };
  };
  return {
    open,
    crash() {
      for (const writes of begun) if (random() < 0.5) apply(writes);
      begun = [];
    },
    rows: (table) => of(table).values,
    wipe: (table) => void stored.set(table, { keys: [], values: new Map() }),
  };
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Where a key is, or would be. */
function placeOf(keys: readonly string[], id: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
