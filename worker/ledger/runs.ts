import { MusterError } from '../../workflows/engine/errors.ts';
import type { Plan } from '../../workflows/engine/plan.ts';
import type { Outcome, Run } from '../../workflows/engine/run.ts';
import { storableText } from './canonical.ts';
import { genesisHash, sealHash, type ChainHead } from './chain.ts';
import type { Sql } from './connection.ts';
import type { FinalState, RunOpened, RunRow, RunSummary } from './types.ts';

const summaryColumns = `id, chain_id, scenario, service, kind, plan_hash, estate_hash, software, opened_at_ms,
  head_seq, head_hash, outcome, finished_at_ms`;

/**
 * Keeps a run with its whole frozen plan. The same run again changes nothing.
 * @throws MusterError LEDGER_CONFLICT when the id is taken by a run of another plan or estate
 */
export async function insertRun(sql: Sql, run: RunOpened): Promise<void> {
  const { runId, plan, estateHash } = run;
  const genesis = genesisHash(runId, plan, estateHash);
  const inserted = await sql.rows(
    `INSERT INTO ledger.runs (id, chain_id, scenario, service, kind, plan, plan_hash, estate_hash, software, opened_at_ms, head_hash)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING RETURNING id`,
    [
      runId,
      run.chainId ?? null,
      run.scenario ?? null,
      plan.service,
      plan.kind,
      JSON.stringify(plan),
      plan.hash,
      estateHash,
      storableText(run.software),
      run.openedAtMs,
      genesis,
    ],
  );
  if (inserted.length > 0) return;
  const there = await selectRun(sql, runId);
  if (genesisHash(runId, there.plan, there.estateHash) !== genesis)
    throw new MusterError('LEDGER_CONFLICT', `run ${runId} is in the ledger with another plan or estate`);
}

export interface LockedRun {
  head: ChainHead;
  planHash: string;
  sealHash: string | null;
}

/** The head of a run's chain, locked until the end of the transaction. @throws MusterError RUN_UNKNOWN */
export async function lockRun(sql: Sql, runId: string): Promise<LockedRun> {
  const [row] = await sql.rows<{ seq: number; hash: string; planHash: string; sealHash: string | null }>(
    `SELECT head_seq AS seq, head_hash AS hash, plan_hash AS "planHash", seal_hash AS "sealHash"
     FROM ledger.runs WHERE id = $1 FOR UPDATE`,
    [runId],
  );
  if (row === undefined) throw unknownRun(runId);
  const { seq, hash, planHash, sealHash: seal } = row;
  return { head: { seq, hash }, planHash, sealHash: seal };
}

function unknownRun(runId: string): MusterError {
  return new MusterError('RUN_UNKNOWN', `run ${runId} is not in the ledger`);
}

export async function moveHead(sql: Sql, runId: string, head: ChainHead): Promise<void> {
  await sql.rows('UPDATE ledger.runs SET head_seq = $2, head_hash = $3 WHERE id = $1', [runId, head.seq, head.hash]);
}

/**
 * Seals a run with the state the engine left it in. The same state again changes nothing.
 * @throws MusterError LEDGER_CONFLICT when records are missing, the run has not ended, or it was sealed otherwise
 */
export async function sealRun(sql: Sql, run: Run, finishedAtMs: number): Promise<void> {
  const { plan, ...rest } = run;
  const final: FinalState = rest;
  const row = await lockRun(sql, run.id);
  const seal = sealHash(row.head.hash, final);
  if (row.sealHash === seal) return;
  if (row.sealHash !== null) throw new MusterError('LEDGER_CONFLICT', `run ${run.id} is sealed with another end`);
  if (run.outcome === null) throw new MusterError('LEDGER_CONFLICT', `run ${run.id} has no outcome yet`);
  if (plan.hash !== row.planHash)
    throw new MusterError('LEDGER_CONFLICT', `run ${run.id} has another plan in the ledger`);
  if (row.head.seq !== run.seq)
    throw new MusterError('LEDGER_CONFLICT', `run ${run.id}: the ledger has ${row.head.seq} of ${run.seq} records`);
  await sql.rows('UPDATE ledger.runs SET final = $2, seal_hash = $3, outcome = $4, finished_at_ms = $5 WHERE id = $1', [
    run.id,
    JSON.stringify(final),
    seal,
    run.outcome,
    finishedAtMs,
  ]);
}

/** @throws MusterError RUN_UNKNOWN */
export async function selectRun(sql: Sql, runId: string, lock: 'FOR UPDATE' | '' = ''): Promise<RunRow> {
  const [row] = await sql.rows<RunColumns & { plan: Plan; final: FinalState | null; seal_hash: string | null }>(
    `SELECT ${summaryColumns}, plan, final, seal_hash FROM ledger.runs WHERE id = $1 ${lock}`,
    [runId],
  );
  if (row === undefined) throw unknownRun(runId);
  return { ...toSummary(row), plan: row.plan, final: row.final, sealHash: row.seal_hash };
}

export interface RunFilter {
  service?: string;
  chainId?: string;
  /** Only those whose end the ledger does not know. */
  unsealed?: boolean;
  /** Default 50. */
  limit?: number;
}

/** Newest first. */
export async function selectRuns(sql: Sql, filter: RunFilter): Promise<RunSummary[]> {
  const rows = await sql.rows<RunColumns>(
    `SELECT ${summaryColumns} FROM ledger.runs
     WHERE ($1::text IS NULL OR service = $1) AND ($2::text IS NULL OR chain_id = $2)
       AND (NOT $3::boolean OR seal_hash IS NULL)
     ORDER BY opened_at_ms DESC, id DESC LIMIT $4`,
    [filter.service ?? null, filter.chainId ?? null, filter.unsealed ?? false, filter.limit ?? 50],
  );
  return rows.map(toSummary);
}

interface RunColumns {
  id: string;
  chain_id: string | null;
  scenario: string | null;
  service: string;
  kind: Plan['kind'];
  plan_hash: string;
  estate_hash: string;
  software: string;
  opened_at_ms: number;
  head_seq: number;
  head_hash: string;
  outcome: Outcome | null;
  finished_at_ms: number | null;
}

function toSummary(row: RunColumns): RunSummary {
  return {
    runId: row.id,
    chainId: row.chain_id,
    scenario: row.scenario,
    service: row.service,
    kind: row.kind,
    planHash: row.plan_hash,
    estateHash: row.estate_hash,
    software: row.software,
    openedAtMs: row.opened_at_ms,
    head: { seq: row.head_seq, hash: row.head_hash },
    outcome: row.outcome,
    finishedAtMs: row.finished_at_ms,
  };
}
