import { storableText } from './canonical.ts';
import type { Sql } from './connection.ts';
import type { Sample } from './types.ts';

/** Keeps a batch of figures; those that are there already are passed over. A figure that is no number is `unknown`. */
export async function insertMeasurements(sql: Sql, batch: readonly Sample[]): Promise<void> {
  if (batch.length === 0) return;
  const rows = batch.map(honest);
  await sql.rows(
    `INSERT INTO ledger.measurements (service, run_id, resource, site, name, method, value, unit, confidence, taken_at_ms)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::float8[],
       $8::text[], $9::text[], $10::float8[])
     ON CONFLICT DO NOTHING`,
    [
      rows.map((row) => row.service),
      rows.map((row) => row.runId),
      rows.map((row) => row.resource),
      rows.map((row) => row.site),
      rows.map((row) => row.name),
      rows.map((row) => storableText(row.method)),
      rows.map((row) => row.value),
      rows.map((row) => row.unit),
      rows.map((row) => row.confidence),
      rows.map((row) => row.takenAtMs),
    ],
  );
}

/** Value and confidence in one accord: no number without `measured` or `estimated`, no `measured` without a number. */
function honest(sample: Sample): Sample {
  const known = sample.value !== null && Number.isFinite(sample.value) && sample.confidence !== 'unknown';
  return known ? sample : { ...sample, value: null, confidence: 'unknown' };
}

const columns = `service, run_id AS "runId", resource, site, name, method, value, unit, confidence, taken_at_ms AS "takenAtMs"`;

/** The figures a run has left, oldest first. */
export async function selectMeasurementsOf(sql: Sql, runId: string): Promise<Sample[]> {
  return sql.rows<Sample>(
    `SELECT ${columns} FROM ledger.measurements WHERE run_id = $1 ORDER BY taken_at_ms, resource, name, method`,
    [runId],
  );
}

/** All figures of a service in a span of time (both ends included), of watch and of runs, oldest first. */
export async function selectSamples(sql: Sql, service: string, fromMs: number, toMs: number): Promise<Sample[]> {
  return sql.rows<Sample>(
    `SELECT ${columns} FROM ledger.measurements WHERE service = $1 AND taken_at_ms BETWEEN $2 AND $3
     ORDER BY taken_at_ms, resource, name, method`,
    [service, fromMs, toMs],
  );
}
