import { toMusterError } from '../../../workflows/engine/errors.ts';
import type { ProofFinding } from '../../../workflows/engine/protection.ts';
import { withDatabase } from '../../drivers/postgres/conninfo.ts';
import { connectSql, dropSql, oneRow, sqlState, type SqlClient } from '../../drivers/postgres/sql.ts';
import { failed, passed, unknown } from './finding.ts';

export interface ContentOptions {
  statementMs: number;
  signal: AbortSignal;
  onProgress(subject: string): void;
}

interface Table {
  name: string;
  /** As the catalog remembers it. */
  pages: number;
  bytes: number;
}

interface Count {
  tables: number;
  rows: number;
}

/**
 * Counts the rows of every table twice, by reading it and by its index: a table that was cut short at a page is sound by
 * itself, and only its indexes know what is gone. And a cluster in which no table holds a row was not what had to be
 * saved. Never throws for what it finds.
 */
export async function contentFindings(url: string, options: ContentOptions): Promise<ProofFinding[]> {
  const findings: ProofFinding[] = [];
  const total: Count = { tables: 0, rows: 0 };
  const databases = await attempt(url, 'cluster', options, listDatabases);
  if (!Array.isArray(databases)) return [databases];
  for (const database of databases) {
    const found = await attempt(withDatabase(url, database), database, options, (client) =>
      countTables(client, { database, total, options }),
    );
    findings.push(...(Array.isArray(found) ? found : [found]));
  }
  const about = { check: 'contents', subject: 'cluster' };
  if (total.rows === 0 && findings.every(({ verdict }) => verdict === 'passed')) {
    findings.push(failed({ ...about, detail: `it is empty: ${total.tables} tables, none of them with a row` }));
  } else if (findings.length === 0) {
    findings.push(passed({ ...about, detail: `${total.rows} rows in ${total.tables} tables, by table and by index` }));
  }
  return findings;
}

async function attempt<Result>(
  url: string,
  subject: string,
  { statementMs, signal, onProgress }: ContentOptions,
  work: (client: SqlClient) => Promise<Result>,
): Promise<Result | ProofFinding> {
  onProgress(`contents ${subject}`);
  let client: SqlClient | null = null;
  try {
    client = await connectSql(url, { connectMs: 10_000, statementMs, signal });
    return await work(client);
  } catch (err) {
    return queryFinding(subject, err);
  } finally {
    if (client !== null) dropSql(client);
  }
}

/** What the server says of its data is a fault; that it does not answer is not known to be one. */
function queryFinding(subject: string, err: unknown): ProofFinding {
  const state = sqlState(err);
  const about = { check: 'contents', subject, detail: toMusterError(err).message };
  return state === null || state === '57014' || state.startsWith('08') ? unknown(about) : failed(about);
}

async function listDatabases(client: SqlClient): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1',
  );
  return rows.map(({ name }) => name);
}

async function countTables(
  client: SqlClient,
  { database, total, options }: { database: string; total: Count; options: ContentOptions },
): Promise<ProofFinding[]> {
  const faults: ProofFinding[] = [];
  for (const table of await listTables(client)) {
    options.signal.throwIfAborted();
    options.onProgress(`contents ${database} ${table.name}`);
    const fault = await countTable(client, table, total);
    if (fault !== null) faults.push(fault);
  }
  return faults;
}

async function listTables(client: SqlClient): Promise<Table[]> {
  // Muster's own marks are no content of anybody's.
  const { rows } = await client.query<Table>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relpages::float8 AS pages,
            pg_relation_size(c.oid)::float8 AS bytes
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND c.relispopulated
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'muster') ORDER BY 1`,
  );
  return rows;
}

async function countTable(
  client: SqlClient,
  { name, pages, bytes }: Table,
  total: Count,
): Promise<ProofFinding | null> {
  try {
    const byTable = await count(client, name, byReading);
    total.tables += 1;
    total.rows += byTable;
    const about = { check: 'contents', subject: name };
    if (pages > 0 && bytes === 0) return failed({ ...about, detail: `its file is empty, it had ${pages} pages` });
    const byIndex = await count(client, name, byIndexes);
    if (byIndex === byTable) return null;
    return failed({ ...about, detail: `it has ${byTable} rows, its index ${byIndex}` });
  } catch (err) {
    return queryFinding(name, err);
  }
}

const byReading = ['enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan'];
const byIndexes = ['enable_seqscan', 'enable_bitmapscan'];

/** @param without ways that the planner is not to take; where there is no index it reads the table all the same */
async function count(client: SqlClient, table: string, without: readonly string[]): Promise<number> {
  await client.query('BEGIN READ ONLY');
  try {
    for (const name of without) await client.query(`SET LOCAL ${name} = off`);
    const row = await oneRow<{ rows: string }>(client, `SELECT count(*) AS rows FROM ONLY ${table}`);
    return Number(row?.rows);
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}
