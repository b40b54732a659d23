import type { Plan } from '../../workflows/engine/plan.ts';
import type { Sql } from './connection.ts';

export interface PlanVersion {
  plan: Plan;
  estateHash: string;
  firstSeenAtMs: number;
}

/** Remembers a frozen plan by its hash; one that is known stays as it was first seen. */
export async function insertPlanVersion(sql: Sql, { plan, estateHash, firstSeenAtMs }: PlanVersion): Promise<void> {
  await sql.rows(
    `INSERT INTO ledger.plan_versions (plan_hash, service, kind, estate_hash, plan, first_seen_at_ms)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
    [plan.hash, plan.service, plan.kind, estateHash, JSON.stringify(plan), firstSeenAtMs],
  );
}

/** Newest first. */
export async function selectPlanVersions(sql: Sql, service: string, limit = 50): Promise<PlanVersion[]> {
  return sql.rows<PlanVersion>(
    `SELECT plan, estate_hash AS "estateHash", first_seen_at_ms AS "firstSeenAtMs"
     FROM ledger.plan_versions WHERE service = $1 ORDER BY first_seen_at_ms DESC LIMIT $2`,
    [service, limit],
  );
}
