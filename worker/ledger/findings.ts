import { storableText } from './canonical.ts';
import type { Sql } from './connection.ts';
import type { FindingRow } from './types.ts';

/** Keeps something that somebody must look at; the same finding again changes nothing. */
export async function insertFinding(sql: Sql, finding: FindingRow): Promise<void> {
  const { service, runId, stepId, severity, what, atMs } = finding;
  await sql.rows(
    `INSERT INTO ledger.findings (service, run_id, step_id, severity, what, at_ms) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT DO NOTHING`,
    [service, runId, stepId, severity, storableText(what), atMs],
  );
}

export async function selectFindings(sql: Sql, runId: string): Promise<FindingRow[]> {
  return sql.rows<FindingRow>(
    `SELECT service, run_id AS "runId", step_id AS "stepId", severity, what, at_ms AS "atMs"
     FROM ledger.findings WHERE run_id = $1 ORDER BY at_ms, what`,
    [runId],
  );
}

export interface FindingFilter {
  /** Its own, and what is about whole vaults. */
  service?: string;
  /** Unix milliseconds; default: all there are. */
  sinceMs?: number;
  /** Newest first; default 1,000. */
  limit?: number;
}

/** Of runs, schedules, archives and vaults alike, newest first. */
export async function selectLatestFindings(sql: Sql, filter: FindingFilter): Promise<FindingRow[]> {
  const { service = null, sinceMs = 0, limit = 1_000 } = filter;
  return sql.rows<FindingRow>(
    `SELECT service, run_id AS "runId", step_id AS "stepId", severity, what, at_ms AS "atMs"
     FROM ledger.findings WHERE ($1::text IS NULL OR service IN ($1, '')) AND at_ms >= $2
     ORDER BY at_ms DESC, what LIMIT $3`,
    [service, sinceMs, limit],
  );
}
