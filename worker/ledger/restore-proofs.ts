import type { RestoreProof } from '../../workflows/engine/protection.ts';
import type { Sql } from './connection.ts';

export interface ProofFilter {
  service?: string;
  resource?: string;
  pointId?: string;
  /** Newest first; default 500. */
  limit?: number;
}

export async function insertProof(sql: Sql, proof: RestoreProof): Promise<void> {
  const { id, pointId, service, resource, verdict, endedAtMs } = proof;
  await sql.rows(
    `INSERT INTO ledger.restore_proofs (id, point_id, service, resource, verdict, ended_at_ms, proof)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
    [id, pointId, service, resource, verdict, endedAtMs, JSON.stringify(proof)],
  );
}

/** Newest first. */
export async function selectProofs(sql: Sql, filter: ProofFilter): Promise<RestoreProof[]> {
  const { service = null, resource = null, pointId = null, limit = 500 } = filter;
  const rows = await sql.rows<{ proof: RestoreProof }>(
    `SELECT proof FROM ledger.restore_proofs
     WHERE ($1::text IS NULL OR service = $1) AND ($2::text IS NULL OR resource = $2) AND ($3::text IS NULL OR point_id = $3)
     ORDER BY ended_at_ms DESC, id LIMIT $4`,
    [service, resource, pointId, limit],
  );
  return rows.map(({ proof }) => proof);
}
