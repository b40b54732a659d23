import type { RecoveryPoint } from '../../workflows/engine/protection.ts';
import type { Sql } from './connection.ts';

export interface PointFilter {
  service?: string;
  resource?: string;
  vault?: string;
  /** Newest first; default 200. */
  limit?: number;
}

/** A point once more changes nothing: it is named by the hash of what it is. */
export async function insertPoint(sql: Sql, point: RecoveryPoint): Promise<void> {
  const { id, service, resource, vault, status, takenAtMs } = point;
  await sql.rows(
    `INSERT INTO ledger.recovery_points (id, service, resource, vault, status, taken_at_ms, point)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
    [id, service, resource, vault, status, takenAtMs, JSON.stringify(point)],
  );
}

export async function insertRemoved(sql: Sql, ids: readonly string[], runId: string, atMs: number): Promise<void> {
  if (ids.length === 0) return;
  await sql.rows(
    `INSERT INTO ledger.removed_points (point_id, run_id, removed_at_ms)
     SELECT unnest($1::text[]), $2, $3 ON CONFLICT DO NOTHING`,
    [ids, runId, atMs],
  );
}

/** Those that are still there, newest first. */
export async function selectPoints(sql: Sql, filter: PointFilter): Promise<RecoveryPoint[]> {
  const { service = null, resource = null, vault = null, limit = 200 } = filter;
  const rows = await sql.rows<{ point: RecoveryPoint }>(
    `SELECT point FROM ledger.recovery_points p
     WHERE ($1::text IS NULL OR service = $1) AND ($2::text IS NULL OR resource = $2) AND ($3::text IS NULL OR vault = $3)
       AND NOT EXISTS (SELECT FROM ledger.removed_points r WHERE r.point_id = p.id)
     ORDER BY taken_at_ms DESC, id LIMIT $4`,
    [service, resource, vault, limit],
  );
  return rows.map(({ point }) => point);
}
