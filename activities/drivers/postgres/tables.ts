import type { SqlClient } from './sql.ts';

/** A guarded table as its server describes it. */
export interface TableShape {
  /** With schema, quoted where needed: may stand in a statement as it is. */
  name: string;
  columns: string[];
  /** Columns of the primary key with their types; empty when there is none. */
  key: { column: string; type: string }[];
}

/** The named tables (`'*'` = all of the users'), partitions as part of their parents. Missing ones are left out. */
export async function readTables(client: SqlClient, tables: readonly string[] | '*'): Promise<TableShape[]> {
  const { rows } = await client.query<{ name: string; columns: string[]; key: { column: string; type: string }[] }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name,
            ARRAY(SELECT a.attname::text FROM pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname) AS columns,
            coalesce((SELECT json_agg(json_build_object('column', a.attname, 'type', format_type(a.atttypid, NULL)) ORDER BY k.nr)
               FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(attnum, nr)
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
              WHERE i.indrelid = c.oid AND i.indisprimary), '[]') AS key
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('information_schema', 'muster') AND n.nspname !~ '^pg_'
        AND ($1::text[] IS NULL OR c.oid IN (SELECT to_regclass(named) FROM unnest($1::text[]) named))
      ORDER BY 1`,
    [tables === '*' ? null : tables],
  );
  return rows;
}

/** Rows of each table; exact, so it reads everything. */
export async function countRows(client: SqlClient, tables: readonly TableShape[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { name } of tables) {
    const { rows } = await client.query<{ n: string }>(`SELECT count(*) AS n FROM ${name}`);
    counts[name] = Number(rows[0]?.n ?? 0);
  }
  return counts;
}
