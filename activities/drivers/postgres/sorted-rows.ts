import type { SqlClient } from './sql.ts';
import type { TableShape } from './tables.ts';

/** One row of a table, in the order of its key. */
export interface KeyedRow {
  /** Primary key as text, one entry per column; the whole row where a table has none. */
  key: string[];
  /** The row as JSON text with its columns in alphabetical order: equal rows have equal texts on both servers. */
  json: string;
  /** Low 32 bits of the transaction that wrote this version of the row. */
  xid: string;
}

const BATCH_ROWS = 1_000;
const integerTypes = new Set(['smallint', 'integer', 'bigint']);

/**
 * Streams a table in the order of its key, in batches, inside the transaction that is open on `client`. Text is ordered
 * by bytes, so that both servers and `compareKeys` agree whatever their locales.
 */
export async function* sortedRows(
  client: SqlClient,
  table: TableShape,
  columns: readonly string[],
): AsyncGenerator<KeyedRow> {
  const cursor = `muster_${cursors++}`;
  const list = columns.map((column) => `t.${quoted(column)}`).join(', ');
  const json = `(SELECT to_jsonb(r) FROM (SELECT ${list}) r)::text`;
  const parts = table.key.map(({ column }) => `t.${quoted(column)}`);
  const key = parts.length > 0 ? `ARRAY[${parts.map((part) => `${part}::text`).join(', ')}]` : `ARRAY[${json}]`;
  const order =
    parts.length > 0
      ? table.key.map(({ type }, index) => orderBy(parts[index] ?? '', type)).join(', ')
      : `${json} COLLATE "C"`;
  await client.query(
    `DECLARE ${cursor} NO SCROLL CURSOR FOR SELECT ${key} AS key, ${json} AS json, t.xmin::text AS xid FROM ${table.name} t ORDER BY ${order}`,
  );
  for (;;) {
    const { rows } = await client.query<KeyedRow>(`FETCH ${BATCH_ROWS} FROM ${cursor}`);
    yield* rows;
    if (rows.length < BATCH_ROWS) break;
  }
  await client.query(`CLOSE ${cursor}`);
}

let cursors = 0;

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function orderBy(column: string, type: string): string {
  return integerTypes.has(type) ? column : `(${column}::text) COLLATE "C"`;
}

/** Order of two keys of one table, as the servers sort them. */
export function compareKeys(table: TableShape, a: readonly string[], b: readonly string[]): number {
  for (const [index, part] of a.entries()) {
    const other = b[index] ?? '';
    if (part === other) continue;
    if (integerTypes.has(table.key[index]?.type ?? '')) return BigInt(part) < BigInt(other) ? -1 : 1;
    return Buffer.compare(Buffer.from(part), Buffer.from(other));
  }
  return 0;
}

/** A row that is not the same on both servers. */
export type RowDifference =
  | { kind: 'only-left'; left: KeyedRow }
  | { kind: 'only-right'; right: KeyedRow }
  | { kind: 'both'; left: KeyedRow; right: KeyedRow };

/** Walks two streams in key order side by side. Equal rows are passed over. */
export async function* differences(
  table: TableShape,
  left: AsyncIterator<KeyedRow>,
  right: AsyncIterator<KeyedRow>,
): AsyncGenerator<RowDifference> {
  let [a, b] = await Promise.all([left.next(), right.next()]);
  while (a.done !== true || b.done !== true) {
    const order = a.done === true ? 1 : b.done === true ? -1 : compareKeys(table, a.value.key, b.value.key);
    if (order < 0 && a.done !== true) {
      yield { kind: 'only-left', left: a.value };
      a = await left.next();
    } else if (order > 0 && b.done !== true) {
      yield { kind: 'only-right', right: b.value };
      b = await right.next();
    } else if (a.done !== true && b.done !== true) {
      if (a.value.json !== b.value.json) yield { kind: 'both', left: a.value, right: b.value };
      [a, b] = await Promise.all([left.next(), right.next()]);
    }
  }
}
