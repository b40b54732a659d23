import type { ProtectionRun } from '../../workflows/engine/protection.ts';
import { storableText } from './canonical.ts';
import type { Sql } from './connection.ts';

export interface ProtectionRunFilter {
  service?: string;
  resource?: string;
  vault?: string;
  kind?: ProtectionRun['kind'];
  /** Newest first; default 100. */
  limit?: number;
}

export async function insertProtectionRun(sql: Sql, run: ProtectionRun): Promise<void> {
  const { id, kind, service, resource, vault, startedAtMs, endedAtMs, outcome, failure, facts, startedBy } = run;
  const said = failure === null ? null : storableText(failure);
  const values = [id, kind, service, resource, vault, startedAtMs, endedAtMs, outcome, said];
  await sql.rows(
    `INSERT INTO ledger.protection_runs
       (id, kind, service, resource, vault, started_at_ms, ended_at_ms, outcome, failure, facts, started_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
    [...values, JSON.stringify(facts), startedBy],
  );
}

/** Newest first. */
export async function selectProtectionRuns(sql: Sql, filter: ProtectionRunFilter): Promise<ProtectionRun[]> {
  const { service = null, resource = null, vault = null, kind = null, limit = 100 } = filter;
  return sql.rows<ProtectionRun>(
    `SELECT id, kind, service, resource, vault, started_at_ms AS "startedAtMs", ended_at_ms AS "endedAtMs", outcome,
            failure, facts, started_by AS "startedBy"
     FROM ledger.protection_runs
     WHERE ($1::text IS NULL OR service = $1) AND ($2::text IS NULL OR resource = $2)
       AND ($3::text IS NULL OR vault = $3) AND ($4::text IS NULL OR kind = $4)
     ORDER BY ended_at_ms DESC, id LIMIT $5`,
    [service, resource, vault, kind, limit],
  );
}
