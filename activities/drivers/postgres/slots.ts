import { oneRow, type SqlClient } from './sql.ts';

/** Makes the replication slot, or replaces one whose WAL is gone already. It keeps WAL from this moment on. */
export async function ensureSlot(client: SqlClient, slot: string): Promise<void> {
  const found = await oneRow<{ wal_status: string | null; active: boolean }>(
    client,
    'SELECT wal_status, active FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
  if (found?.wal_status === 'lost' && !found.active) await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
  else if (found !== null) return;
  await client.query('SELECT pg_create_physical_replication_slot($1, true)', [slot]);
}

/** Drops the slots a former primary kept for others: on a standby they would hold back its WAL for ever. */
export async function dropIdleSlots(client: SqlClient): Promise<void> {
  await client.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
      WHERE slot_type = 'physical' AND NOT active AND starts_with(slot_name, 'muster_')`,
  );
}

/** Whether the server lists a standby of this name as streaming. */
export async function isStreaming(client: SqlClient, applicationName: string): Promise<boolean> {
  const row = await oneRow(
    client,
    "SELECT 1 FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'",
    [applicationName],
  );
  return row !== null;
}

/** Timeline that a primary writes; the control file shows the old one until its first checkpoint. */
export async function writtenTimeline(primary: SqlClient): Promise<number> {
  const row = await oneRow<{ file: string }>(primary, 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS file');
  return Number.parseInt(row?.file.slice(0, 8) ?? '0', 16);
}

/** Timeline that a standby receives; `null` while it does not stream. */
export async function receivedTimeline(standby: SqlClient): Promise<number | null> {
  const row = await oneRow<{ timeline: number }>(
    standby,
    "SELECT received_tli AS timeline FROM pg_stat_wal_receiver WHERE status = 'streaming'",
  );
  return row?.timeline ?? null;
}
