import type { DanglingReferences, ObjectReferences, RecoveryPoint } from '../../workflows/engine/protection.ts';
import type { Repository } from '../backup/repository/attach.ts';
import { withDatabase } from '../drivers/postgres/conninfo.ts';
import { joinReferences } from './references/join-references.ts';
import { referredKeys, type QueryOptions } from './references/referred-keys.ts';
import { savedKeys } from './references/saved-keys.ts';

export interface ComparedWith extends QueryOptions {
  /** Of a vault that holds the bucket's point. */
  repository: Repository;
  point: RecoveryPoint;
  /** Asked where the reference names none. */
  database: string;
}

/**
 * Holds the object keys that rows of a restored database refer to against the objects of a bucket's recovery point: two
 * streams in order, so that what is in memory does not grow with the rows, and with the objects only as far as they lie
 * in one directory.
 * @param url of the restored server
 * @throws MusterError CONFIG_INVALID when the query fails or yields no text, REPOSITORY_DAMAGED
 */
export async function compareReferences(
  url: string,
  { bucket, database, sql }: ObjectReferences,
  { repository, point, database: usual, statementMs, signal }: ComparedWith,
): Promise<DanglingReferences> {
  const referred = referredKeys(withDatabase(url, database ?? usual), sql, { statementMs, signal });
  return { bucket, pointId: point.id, ...(await joinReferences(referred, savedKeys(repository, point))) };
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
