import { MusterError } from '../../../workflows/engine/errors.ts';
import { guardNewTablesSql, schemaSql } from './schema.ts';
import { oneRow, withSql, type SqlClient } from './sql.ts';

/** Oldest PostgreSQL that Muster works with (UNLOGGED sequences, the streaming form of BASE_BACKUP). */
export const MIN_SERVER_MAJOR = 15;

export interface PrepareOptions {
  /**
   * Tables whose writes need the lease, e.g. `orders` or `sales.orders` (without a schema: found by the search path of
   * Muster's role). `'*'` means every table of the users, those made later included.
   */
  tables: readonly string[] | '*';
}

export interface Prepared {
  /** Tables that are guarded now, with schema. */
  guarded: string[];
}

/**
 * Makes a primary ready to be protected: schema `muster`, canary, lease and the lease check on the named tables. May be
 * run again at any time (a name added to `tables` is guarded then). `url` is that of a superuser. Every role may still
 * write to the tables, but none except a superuser can change the lease or take the check away.
 * Throws CONFIG_INVALID when the server is too old or a table is missing.
 */
export async function prepareDatabase(url: string, options: PrepareOptions): Promise<Prepared> {
  return withSql(url, { statementMs: 30_000 }, async (client) => {
    await requireSupported(client);
    const names = options.tables === '*' ? await allTables(client) : await resolveTables(client, options.tables);
    await client.query('BEGIN');
    // Two agents that prepare at the same moment must not trip over each other.
    await client.query("SELECT pg_advisory_xact_lock(hashtext('muster.prepare'))");
    await client.query(schemaSql);
    for (const name of names) await client.query('SELECT muster.guard_table($1::regclass)', [name]);
    if (options.tables === '*') await client.query(guardNewTablesSql);
    await client.query('COMMIT');
    return { guarded: names };
  });
}

async function requireSupported(client: SqlClient): Promise<void> {
  const row = await oneRow<{ version: string; superuser: string }>(
    client,
    "SELECT current_setting('server_version_num') AS version, current_setting('is_superuser') AS superuser",
  );
  const major = Math.floor(Number(row?.version ?? 0) / 10_000);
  if (major < MIN_SERVER_MAJOR) {
    throw new MusterError(
      'CONFIG_INVALID',
      `PostgreSQL ${major} is too old, ${MIN_SERVER_MAJOR} is the oldest that works`,
    );
  }
  if (row?.superuser !== 'on')
    throw new MusterError('CONFIG_INVALID', "the role in the database's url must be a superuser");
}

/** Full names of the tables and of all their partitions: a statement may name a partition directly. */
async function resolveTables(client: SqlClient, tables: readonly string[]): Promise<string[]> {
  const resolved: string[] = [];
  for (const table of tables) {
    const { rows } = await client.query<{ name: string }>(
      `SELECT format('%I.%I', n.nspname, c.relname) AS name
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND (c.oid = to_regclass($1) OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass($1))))
        ORDER BY c.relispartition, 1`,
      [table],
    );
    if (rows.length === 0) throw new MusterError('CONFIG_INVALID', `there is no table ${table}`);
    resolved.push(...rows.map((row) => row.name));
  }
  return [...new Set(resolved)];
}

async function allTables(client: SqlClient): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT IN ('information_schema', 'muster')
        AND n.nspname !~ '^pg_'
      ORDER BY c.relispartition, 1`,
  );
  return rows.map((row) => row.name);
}
