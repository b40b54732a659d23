import { storableText } from './canonical.ts';
import type { Sql } from './connection.ts';
import type { ApprovalRow } from './types.ts';

/** Keeps what a person answered; the same answer again changes nothing. */
export async function insertApproval(sql: Sql, approval: ApprovalRow): Promise<void> {
  const { runId, stepId, answer, by, why, atMs } = approval;
  await sql.rows(
    `INSERT INTO ledger.approvals (run_id, step_id, answer, by_whom, why, at_ms) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT DO NOTHING`,
    [runId, stepId, answer, storableText(by), storableText(why), atMs],
  );
}

export async function selectApprovals(sql: Sql, runId: string): Promise<ApprovalRow[]> {
  return sql.rows<ApprovalRow>(
    `SELECT run_id AS "runId", step_id AS "stepId", answer, by_whom AS "by", why, at_ms AS "atMs"
     FROM ledger.approvals WHERE run_id = $1 ORDER BY at_ms, by_whom`,
    [runId],
  );
}
