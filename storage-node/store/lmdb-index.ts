import { type Database, open, type RootDatabase } from 'lmdb';
import { statSync } from 'node:fs';
import path from 'node:path';
import { asBuffer } from './bytes.ts';
import { type IndexStore, type Table, tables } from './index-store.ts';

type Rows = Database<Buffer, Buffer>;

/** Rows are lent as views of the buffers that every read fills anew: who keeps one copies it. */
const lentRows = {
  keyEncoder: {
    writeKey(key: Uint8Array, target: Uint8Array, start: number): number {
      target.set(key, start);
      return start + key.length;
    },
    readKey: (source: Buffer, start: number, end: number): Buffer => source.subarray(start, end),
  },
  encoder: {
    encode: (value: Uint8Array): Uint8Array => value,
    decode: (bytes: Buffer, length: number): Buffer => bytes.subarray(0, length),
  },
  encoding: 'binary',
} as const;

/**
 * An index in LMDB: one environment, one file. All writes of one turn of the event loop go into one transaction, and
 * transactions that wait while another is being synced are merged, so that many writers share a sync.
 *
 * `overlappingSync` is off: with it a write resolves when it is visible, which is before it is durable.
 */
export function openLmdbIndex(directory: string): IndexStore {
  const file = path.join(directory, 'index.mdb');
  const root: RootDatabase<Buffer, Buffer> = open({
    path: file,
    noSubdir: true,
    maxDbs: tables.length + 1,
    overlappingSync: false,
    noMemInit: true,
    ...(lentRows as object),
  });
  const opened = new Map(tables.map((name) => [name, root.openDB<Buffer, Buffer>({ name, ...(lentRows as object) })]));
  const [registers, data, log, meta] = tables.map((name) => opened.get(name)!) as [Rows, Rows, Rows, Rows];
  const of = (table: Table): Rows => {
    if (table === 'registers') return registers;
    if (table === 'data') return data;
    return table === 'log' ? log : meta;
  };
  const told = createTold();
  return {
    get(table, key) {
      const lent = of(table).getBinaryFast(key as Buffer);
      if (lent === undefined) return undefined;
      const own = Buffer.allocUnsafe(lent.length);
      lent.copy(own, 0, 0, own.length);
      return own;
    },
    each({ table, from, to }, visit) {
      const range = { start: asBuffer(from), ...(to === undefined ? {} : { end: asBuffer(to) }) };
      for (const { key, value } of of(table).getRange(range)) if (!visit(key, value)) return;
    },
    write(writes) {
      let last: Promise<boolean> | undefined;
      for (const { table, key, value } of writes) {
        last = value === undefined ? of(table).remove(key as Buffer) : of(table).put(key as Buffer, value as Buffer);
      }
      return last === undefined ? Promise.resolve() : told(last);
    },
    count: (table) => (of(table).getStats() as { entryCount: number }).entryCount,
    sizeBytes: () => statSync(file).size,
    close: () => root.close(),
  };
}

/**
 * Failures in their own words: LMDB says why a commit failed in a second promise of the error. Writes that share a
 * commit share the answer.
 */
function createTold(): (commit: Promise<boolean>) => Promise<void> {
  let lastCommit: Promise<boolean> | undefined;
  let lastAnswer: Promise<void> | undefined;
  const explain = async (error: unknown): Promise<never> => {
    const { commitError } = error as { commitError?: Promise<unknown> };
    const soon = new Promise<void>((resolve) => {
      setTimeout(resolve, 1_000);
    });
    const reason = await Promise.race([commitError?.catch((cause: unknown) => cause), soon]);
    throw new Error(reason instanceof Error ? reason.message : String(error), { cause: error });
  };
  return (commit) => {
    if (commit === lastCommit && lastAnswer !== undefined) return lastAnswer;
    lastCommit = commit;
    lastAnswer = commit.then(() => {}, explain);
    return lastAnswer;
  };
}
