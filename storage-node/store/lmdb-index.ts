import { type Database, open, type RootDatabase } from 'lmdb';
import { statSync } from 'node:fs';
import path from 'node:path';
import { type IndexStore, type Table } from './index-store.ts';

const tables: readonly Table[] = ['registers', 'data', 'log', 'meta'];

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
    keyEncoding: 'binary',
    encoding: 'binary',
    overlappingSync: false,
    noMemInit: true,
  });
  const options = { keyEncoding: 'binary', encoding: 'binary' } as const;
  const opened = new Map(tables.map((name) => [name, root.openDB<Buffer, Buffer>({ name, ...options })]));
  const of = (table: Table): Database<Buffer, Buffer> => opened.get(table)!;
  return {
    get: (table, key) => of(table).getBinary(asBuffer(key)),
    range: (table, from, to) =>
      of(table).getRange({ start: asBuffer(from), ...(to === undefined ? {} : { end: asBuffer(to) }) }),
    async write(writes) {
      const done = writes.map(({ table, key, value }) =>
        value === undefined ? of(table).remove(asBuffer(key)) : of(table).put(asBuffer(key), asBuffer(value)),
      );
      await done.at(-1);
    },
    count: (table) => (of(table).getStats() as { entryCount: number }).entryCount,
    sizeBytes: () => statSync(file).size,
    close: () => root.close(),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
