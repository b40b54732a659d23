import { oneRow, type SqlClient } from './sql.ts';

/** A mark that says: every transaction committed before this time is here too. */
export interface Canary {
  seq: number;
  /** Unix milliseconds of the clock that wrote it, read before it was sent. */
  writtenAtMs: number;
}

/** Writer id of the probes that an agent writes with its own clock; never taken for the control plane's marks. */
export const PROBE_WRITER_ID = -1;

/**
 * Writes a mark. `writerId` > 0 is the control plane's (one per process that writes), `nowMs` its clock at this moment.
 * Waits for a synchronous standby when the database does, like any client's commit.
 */
export async function writeCanary(client: SqlClient, writerId: number, nowMs: number): Promise<Canary> {
  const row = await oneRow<{ seq: string }>(
    client,
    `INSERT INTO muster.canary (id, seq, written_at_ms) VALUES ($1, 1, $2)
     ON CONFLICT (id) DO UPDATE SET seq = muster.canary.seq + 1, written_at_ms = $2 RETURNING seq`,
    [writerId, nowMs],
  );
  return { seq: Number(row?.seq ?? 0), writtenAtMs: nowMs };
}

/** Newest mark of the control plane that is here; `null` when there never was one. */
export async function newestCanary(client: SqlClient): Promise<Canary | null> {
  return canaryWhere(client, 'id > 0');
}

/** Newest probe of an agent. */
export async function newestProbe(client: SqlClient): Promise<Canary | null> {
  return canaryWhere(client, 'id < 0');
}

async function canaryWhere(client: SqlClient, condition: 'id > 0' | 'id < 0'): Promise<Canary | null> {
  const row = await oneRow<{ seq: string; written_at_ms: string }>(
    client,
    `SELECT seq, written_at_ms FROM muster.canary WHERE ${condition} ORDER BY written_at_ms DESC LIMIT 1`,
  );
  return row === null ? null : { seq: Number(row.seq), writtenAtMs: Number(row.written_at_ms) };
}
