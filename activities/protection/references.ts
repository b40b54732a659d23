import { MusterError, toMusterError } from '../../workflows/engine/errors.ts';
import type { DanglingReferences, ObjectReferences, RecoveryPoint } from '../../workflows/engine/protection.ts';
import { openTrees } from '../backup/engine/trees.ts';
import { walkSnapshot } from '../backup/engine/walk-snapshot.ts';
import type { Repository } from '../backup/repository/attach.ts';
import { createBlobTable } from '../backup/repository/blob-table.ts';
import { loadIndex } from '../backup/repository/index-load.ts';
import { loadSnapshot } from '../backup/repository/snapshot.ts';
import { savedObject } from '../backup/source/bucket.ts';
import { shown } from '../backup/source/raw-path.ts';
import { withDatabase } from '../drivers/postgres/conninfo.ts';
import { connectSql, dropSql, type SqlClient } from '../drivers/postgres/sql.ts';

const named = 100;
const rowsAtOnce = 10_000;

export interface ComparedWith {
  /** Of a vault that holds the bucket's point. */
  repository: Repository;
  point: RecoveryPoint;
  /** Asked where the reference names none. */
  database: string;
  /** Limit of one piece of the query. */
  statementMs: number;
  signal: AbortSignal;
}

/**
 * Holds the object keys that rows of a restored database refer to against the objects of a bucket's recovery point. All
 * keys of the bucket are kept in memory, about a hundred bytes each.
 * @param url of the restored server
 * @throws MusterError CONFIG_INVALID when the query fails or yields no text, REPOSITORY_DAMAGED
 */
export async function compareReferences(
  url: string,
  { bucket, database, sql }: ObjectReferences,
  { repository, point, database: usual, statementMs, signal }: ComparedWith,
): Promise<DanglingReferences> {
  const isReferred = await keysOf(repository, point);
  const missing = { count: 0, names: new Set<string>() };
  let rows = 0;
  for await (const key of referredKeys(withDatabase(url, database ?? usual), sql, {
    statementMs,
    signal,
  })) {
    rows += 1;
    if (isReferred.has(key)) isReferred.set(key, true);
    else {
      missing.count += 1;
      if (missing.names.size < named) missing.names.add(key);
    }
  }
  const unreferred = [...isReferred].flatMap(([key, referred]) => (referred ? [] : [key]));
  return {
    ...{ bucket, pointId: point.id, rows, objects: isReferred.size },
    missing: { count: missing.count, names: [...missing.names] },
    unreferred: { count: unreferred.length, names: unreferred.slice(0, named) },
  };
}

async function keysOf(repository: Repository, point: RecoveryPoint): Promise<Map<string, boolean>> {
  const table = createBlobTable();
  await loadIndex(repository, table);
  const { tree, paths } = await loadSnapshot(repository, point.snapshotId);
  const root = `${paths[0] ?? ''}/`;
  const keys = new Map<string, boolean>();
  for await (const entry of walkSnapshot(openTrees(repository, table), tree)) {
    if (entry.kind === 'damaged') throw new MusterError('REPOSITORY_DAMAGED', `${shown(entry.path)}: ${entry.why}`);
    if (entry.node.type === 'file') keys.set(savedObject(shown(entry.path).slice(root.length), entry.node).key, false);
  }
  return keys;
}

/** The first column of each row; rows that refer to nothing (null) are passed over. */
async function* referredKeys(
  url: string,
  sql: string,
  { statementMs, signal }: Pick<ComparedWith, 'statementMs' | 'signal'>,
): AsyncGenerator<string> {
  const client = await connectSql(url, { connectMs: 10_000, statementMs, signal });
  try {
    await begin(client, sql);
    for (;;) {
      const { rows } = await client.query<unknown[]>({
        text: `FETCH ${rowsAtOnce} FROM muster_references`,
        rowMode: 'array',
      });
      for (const [key] of rows) {
        if (key === null) continue;
        if (typeof key !== 'string') throw invalid(`its first column is no text but ${typeof key}`);
        yield key;
      }
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
  await client.query(`DECLARE muster_references NO SCROLL CURSOR FOR ${sql.trim().replace(/;$/, '')}`);
}

function invalid(why: string): MusterError {
  return new MusterError('CONFIG_INVALID', `the query of \`references\` cannot be used: ${why}`);
}

/** `12 of 500 rows refer to objects that receipts does not have: a, b; 3 of 499 objects nobody refers to: c`. */
export function danglingText({ bucket, rows, objects, missing, unreferred }: DanglingReferences): string {
  const list = (names: readonly string[], count: number): string =>
    count === 0 ? '' : `: ${names.slice(0, 20).join(', ')}${count > Math.min(20, names.length) ? ', ...' : ''}`;
  return (
    `${missing.count} of ${rows} rows refer to objects that ${bucket} does not have${list(missing.names, missing.count)}; ` +
    `no row refers to ${unreferred.count} of its ${objects} objects${list(unreferred.names, unreferred.count)}`
  );
}
