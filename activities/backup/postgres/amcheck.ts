import pg from 'pg';
import { oneRow, type SqlClient } from '../../drivers/postgres/sql.ts';
import { failedQuery, finding, type Finding } from './findings.ts';

const schema = 'muster_verify';
const namedFaults = 5;

/**
 * Compares every B-tree of a database with its table and reads every table, with PostgreSQL's own amcheck. Where that is
 * not installed it is, in a schema of its own, for as long as this takes; where it cannot be, the answer is unknown.
 */
export async function checkStructure(client: SqlClient, database: string): Promise<Finding[]> {
  const found = await findAmcheck(client, database);
  if (typeof found !== 'string') return [found];
  try {
    return [...(await checkIndexes(client, database, found)), ...(await checkTables(client, database, found))];
  } finally {
    if (found === schema) await client.query(`DROP SCHEMA ${schema} CASCADE`).catch(() => undefined);
  }
}

/** The schema it is in, quoted, or why there is none. */
async function findAmcheck(client: SqlClient, database: string): Promise<string | Finding> {
  const state = await oneRow<{ schema: string | null; isThere: boolean; isReadOnly: boolean }>(
    client,
    `SELECT (SELECT format('%I', n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
              WHERE e.extname = 'amcheck') AS schema,
            EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck') AS "isThere",
            pg_is_in_recovery() AS "isReadOnly"`,
  );
  if (state !== null && state.schema !== null) return state.schema;
  const unknown = (detail: string): Finding => finding('amcheck', database, 'unknown', { detail });
  if (state?.isThere !== true) return unknown('amcheck is not part of this installation of PostgreSQL');
  if (state.isReadOnly) return unknown('amcheck is not installed, and the server is read-only');
  await client.query(
    `DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema}; CREATE EXTENSION amcheck SCHEMA ${schema}`,
  );
  return schema;
}

interface Relation {
  oid: number;
  name: string;
}

async function checkIndexes(client: SqlClient, database: string, within: string): Promise<Finding[]> {
  const { rows } = await client.query<Relation>(
    `SELECT c.oid::int8::float8 AS oid, format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_am a ON a.oid = c.relam
      WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisready AND i.indisvalid
      ORDER BY 2`,
  );
  const faults: Finding[] = [];
  for (const { oid, name } of rows) {
    const fault = await faultOf(client, name, `SELECT ${within}.bt_index_check($1::oid::regclass, true)`, oid);
    if (fault !== null) faults.push(fault);
  }
  return [...faults, ...passed(database, `${rows.length - faults.length} B-trees agree with their tables`, faults)];
}

async function checkTables(client: SqlClient, database: string, within: string): Promise<Finding[]> {
  const { rows } = await client.query<Relation>(
    `SELECT c.oid::int8::float8 AS oid, format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
      WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p' AND a.amname = 'heap' ORDER BY 2`,
  );
  const faults: Finding[] = [];
  const text = `SELECT format('block %s, row %s: %s', blkno, coalesce(offnum::text, '?'), msg) AS fault
                  FROM ${within}.verify_heapam($1::oid::regclass) LIMIT ${namedFaults}`;
  for (const { oid, name } of rows) {
    const fault = await faultOf(client, name, text, oid);
    if (fault !== null) faults.push(fault);
  }
  return [...faults, ...passed(database, `${rows.length - faults.length} tables can be read whole`, faults)];
}

/** Rows with a column `fault`, and errors, are what is wrong. */
async function faultOf(client: SqlClient, name: string, text: string, oid: number): Promise<Finding | null> {
  try {
    const { rows } = await client.query<{ fault?: string }>(text, [oid]);
    const faults = rows.flatMap(({ fault }) => (typeof fault === 'string' ? [fault] : []));
    return faults.length === 0 ? null : finding('amcheck', name, 'failed', { detail: faults.join('; ') });
  } catch (err) {
    const sqlState = err instanceof pg.DatabaseError ? (err.code ?? null) : null;
    return failedQuery('amcheck', name, { message: err instanceof Error ? err.message : String(err), sqlState });
  }
}

function passed(database: string, detail: string, faults: readonly Finding[]): Finding[] {
  return faults.length > 0 ? [] : [finding('amcheck', database, 'passed', { detail })];
}
