import type { ReplicationStatus } from '../../workflows/engine/replication.ts';
import { storableText } from './canonical.ts';
import type { Sql } from './connection.ts';

/** One object that a move found lost. */
export interface LostObject {
  key: string;
  op: 'put' | 'delete' | 'tags' | 'metadata';
  /** By the source's clock, Unix milliseconds. */
  writtenAtMs: number;
  sizeBytes: number;
  certainty: 'lost' | 'unproved';
}

/** Keeps what replications said of themselves; what is there already is passed over. */
export async function insertReplicationFigures(sql: Sql, batch: readonly ReplicationStatus[]): Promise<void> {
  if (batch.length === 0) return;
  const column = <Value>(of: (status: ReplicationStatus) => Value): Value[] => batch.map(of);
  await sql.rows(
    `INSERT INTO ledger.replication_figures (service, resource, from_site, to_site, epoch, phase,
       oldest_pending_age_seconds, backlog_objects, backlog_bytes, verified_watermark_ms, failed_objects, why, taken_at_ms)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::text[], $7::float8[],
       $8::float8[], $9::float8[], $10::float8[], $11::float8[], $12::text[], $13::float8[])
     ON CONFLICT DO NOTHING`,
    [
      ...[column((s) => s.service), column((s) => s.resource), column((s) => s.from), column((s) => s.to)],
      ...[column((s) => s.epoch), column((s) => s.phase), column((s) => s.oldestPendingAgeSeconds)],
      ...[column((s) => s.backlogObjects), column((s) => s.backlogBytes), column((s) => s.verifiedWatermarkMs)],
      ...[column((s) => s.failed), column((s) => (s.why === null ? null : storableText(s.why))), column((s) => s.atMs)],
    ],
  );
}

const thinSpanMs = 15 * 60_000;

/** Leaves of figures from before a moment the worst of each quarter of an hour; an unknown one is the worst there is. */
export async function thinReplicationFigures(sql: Sql, beforeMs: number): Promise<void> {
  await sql.rows(
    `DELETE FROM ledger.replication_figures figure USING (
       SELECT ctid, row_number() OVER (
         PARTITION BY service, resource, floor(taken_at_ms / $2)
         ORDER BY oldest_pending_age_seconds DESC NULLS FIRST, taken_at_ms) AS rank
       FROM ledger.replication_figures WHERE taken_at_ms < $1) ranked
     WHERE figure.ctid = ranked.ctid AND ranked.rank > 1`,
    [beforeMs, thinSpanMs],
  );
}

/** A figure of the past, oldest first. */
export type ReplicationFigure = Pick<
  ReplicationStatus,
  'from' | 'to' | 'epoch' | 'phase' | 'oldestPendingAgeSeconds' | 'backlogObjects' | 'backlogBytes' | 'why' | 'atMs'
>;

/** What a replication said between two moments, both included. */
export async function selectReplicationFigures(
  sql: Sql,
  { service, resource }: { service: string; resource: string },
  between: { fromMs: number; toMs: number },
): Promise<ReplicationFigure[]> {
  return sql.rows<ReplicationFigure>(
    `SELECT from_site AS "from", to_site AS "to", epoch, phase, oldest_pending_age_seconds AS "oldestPendingAgeSeconds",
       backlog_objects AS "backlogObjects", backlog_bytes AS "backlogBytes", why, taken_at_ms AS "atMs"
     FROM ledger.replication_figures
     WHERE service = $1 AND resource = $2 AND taken_at_ms BETWEEN $3 AND $4 ORDER BY taken_at_ms`,
    [service, resource, between.fromMs, between.toMs],
  );
}

/** Remembers what a run found lost; the same once more changes nothing. */
export async function insertLostObjects(
  sql: Sql,
  { runId, resource }: { runId: string; resource: string },
  lost: readonly LostObject[],
): Promise<void> {
  if (lost.length === 0) return;
  await sql.rows(
    `INSERT INTO ledger.lost_objects (run_id, resource, object_key, operation, written_at_ms, size_bytes, certainty)
     SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::float8[], $6::float8[], $7::text[])
     ON CONFLICT DO NOTHING`,
    [
      ...[runId, resource, lost.map(({ key }) => storableText(key)), lost.map(({ op }) => op)],
      ...[lost.map(({ writtenAtMs }) => writtenAtMs), lost.map(({ sizeBytes }) => sizeBytes)],
      lost.map(({ certainty }) => certainty),
    ],
  );
}

/** What a run found lost of a resource, the first written first; all of it without a limit. */
export async function selectLostObjects(
  sql: Sql,
  { runId, resource }: { runId: string; resource: string },
  limit: number | null,
): Promise<LostObject[]> {
  return sql.rows<LostObject>(
    `SELECT object_key AS "key", operation AS "op", written_at_ms AS "writtenAtMs", size_bytes AS "sizeBytes", certainty
     FROM ledger.lost_objects WHERE run_id = $1 AND resource = $2 ORDER BY written_at_ms, object_key LIMIT $3`,
    [runId, resource, limit],
  );
}
