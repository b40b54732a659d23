import { MusterError } from '../../workflows/engine/errors.ts';
import type { JsonObject } from '../../workflows/engine/plan.ts';
import { canonicalJson } from './canonical.ts';
import { eventHash, linkRecords, storable, type ChainHead, type EventRow, type LedgerRecord } from './chain.ts';
import type { Sql } from './connection.ts';
import { lockRun, moveHead } from './runs.ts';

/**
 * Adds records to the end of a run's chain. Records that are there already with the same content are passed over, so a
 * batch may be sent again whole or in part. Call it inside a transaction: the run's row is locked meanwhile.
 * @returns the new head
 * @throws MusterError RUN_UNKNOWN; LEDGER_CONFLICT for other content under a used number, a gap, or a sealed run
 */
export async function appendEvents(sql: Sql, runId: string, records: readonly LedgerRecord[]): Promise<ChainHead> {
  const run = await lockRun(sql, runId);
  const ordered = records.map(storable).sort((a, b) => a.seq - b.seq);
  await refuseOtherContent(
    sql,
    runId,
    ordered.filter((record) => record.seq <= run.head.seq),
  );
  const added = gapFree(
    runId,
    run.head.seq,
    ordered.filter((record) => record.seq > run.head.seq),
  );
  if (added.length === 0) return run.head;
  if (run.sealHash !== null) throw new MusterError('LEDGER_CONFLICT', `run ${runId} is sealed: no event can follow`);
  const rows = linkRecords(runId, run.head, added);
  await insertRows(sql, runId, rows);
  const last = rows[rows.length - 1] as EventRow;
  const head = { seq: last.seq, hash: last.hash };
  await moveHead(sql, runId, head);
  return head;
}

/** Drops repeats inside one batch; refuses a hole before any record. */
function gapFree(runId: string, headSeq: number, records: readonly LedgerRecord[]): LedgerRecord[] {
  const kept: LedgerRecord[] = [];
  for (const record of records) {
    const last = kept[kept.length - 1];
    if (last !== undefined && last.seq === record.seq && canonicalJson(last) === canonicalJson(record)) continue;
    const expected = (last?.seq ?? headSeq) + 1;
    if (record.seq !== expected)
      throw new MusterError('LEDGER_CONFLICT', `run ${runId}: record ${expected} is missing, ${record.seq} was sent`);
    kept.push(record);
  }
  return kept;
}

async function refuseOtherContent(sql: Sql, runId: string, records: readonly LedgerRecord[]): Promise<void> {
  if (records.length === 0) return;
  const there = await sql.rows<{ seq: number; prevHash: string; hash: string }>(
    'SELECT seq, prev_hash AS "prevHash", hash FROM ledger.events WHERE run_id = $1 AND seq = ANY ($2)',
    [runId, records.map((record) => record.seq)],
  );
  const bySeq = new Map(there.map((row) => [row.seq, row]));
  for (const record of records) {
    const row = bySeq.get(record.seq);
    if (row === undefined || eventHash(runId, row.prevHash, record) !== row.hash)
      throw new MusterError('LEDGER_CONFLICT', `run ${runId}: the ledger holds another record ${record.seq}`);
  }
}

async function insertRows(sql: Sql, runId: string, rows: readonly EventRow[]): Promise<void> {
  await sql.rows(
    `INSERT INTO ledger.events (run_id, seq, at_ms, what, step_id, data, prev_hash, hash)
     SELECT $1, * FROM unnest($2::int[], $3::float8[], $4::text[], $5::text[], $6::json[], $7::text[], $8::text[])`,
    [
      runId,
      rows.map((row) => row.seq),
      rows.map((row) => row.atMs),
      rows.map((row) => row.what),
      rows.map((row) => row.stepId),
      rows.map((row) => JSON.stringify(row.data)),
      rows.map((row) => row.prevHash),
      rows.map((row) => row.hash),
    ],
  );
}

/** All events of a run in order. */
export async function selectEvents(sql: Sql, runId: string): Promise<EventRow[]> {
  return sql.rows<EventRow & { data: JsonObject }>(
    `SELECT seq, at_ms AS "atMs", what, step_id AS "stepId", data, prev_hash AS "prevHash", hash
     FROM ledger.events WHERE run_id = $1 ORDER BY seq`,
    [runId],
  );
}
