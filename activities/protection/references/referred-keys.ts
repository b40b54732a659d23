import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { connectSql, dropSql, type SqlClient } from '../../drivers/postgres/sql.ts';

const rowsAtOnce = 10_000;

/**
 * Types whose text may be a key, by category (`S` text, `E` enumerations, `X` not said) or by name. Source: PostgreSQL,
 * `pg_type.typcategory`.
 */
const keyCategories = new Set(['S', 'E', 'X']);
const keyTypes = new Set(['uuid', 'int8', 'numeric']);

export interface QueryOptions {
  /** Limit of one piece of the query. */
  statementMs: number;
  signal: AbortSignal;
}

/**
 * The first column of each row of a query, in the order of its UTF-8 bytes; rows that refer to nothing (null) are passed
 * over. The server sorts, on its disk where it has to.
 * @throws MusterError CONFIG_INVALID when the query fails or yields no text
 */
export async function* referredKeys(
  url: string,
  sql: string,
  { statementMs, signal }: QueryOptions,
): AsyncGenerator<string> {
  const client = await connectSql(url, { connectMs: 10_000, statementMs, signal });
  try {
    await begin(client, sql);
    for (;;) {
      const { rows } = await client.query<[string]>({
        text: `FETCH ${rowsAtOnce} FROM muster_references`,
        rowMode: 'array',
      });
      for (const [key] of rows) yield key;
      if (rows.length < rowsAtOnce) return;
    }
  } catch (err) {
    signal.throwIfAborted();
    throw err instanceof MusterError ? err : invalid(toMusterError(err).message);
  } finally {
    dropSql(client);
  }
}

/** The query may read, and nothing else. */
async function begin(client: SqlClient, sql: string): Promise<void> {
  await client.query('BEGIN READ ONLY');
  // The line behind it ends a comment that it may end with.
  const referred = `(${sql.trim().replace(/;$/, '')}\n) AS referred (key)`;
  const { fields } = await client.query({ text: `SELECT key FROM ${referred} LIMIT 0`, rowMode: 'array' });
  const { rows } = await client.query<{ name: string; category: string }>(
    'SELECT typname AS name, typcategory AS category FROM pg_catalog.pg_type WHERE oid = $1',
    [fields[0]!.dataTypeID],
  );
  const { name = 'unknown', category = '' } = rows[0] ?? {};
  if (!keyCategories.has(category) && !keyTypes.has(name)) throw invalid(`its first column is no text but ${name}`);
  // Not by COLLATE "C", which sorts by the bytes of the database's own encoding.
  await client.query(
    `DECLARE muster_references NO SCROLL CURSOR FOR SELECT key::text FROM ${referred} ` +
      `WHERE key IS NOT NULL ORDER BY convert_to(key::text, 'UTF8')`,
  );
}

function invalid(why: string): MusterError {
  return new MusterError('CONFIG_INVALID', `the query of \`references\` cannot be used: ${why}`);
}
