import { formatLsn } from '../../drivers/postgres/lsn.ts';
import { oneRow, type SqlClient } from '../../drivers/postgres/sql.ts';

/**
 * Lets a server remove the WAL before a position that is safe elsewhere, and keep what comes behind: moves the physical
 * slot there. One that is not there is made; one that the server has given up (`max_slot_wal_keep_size`) is made anew, so
 * that from now on WAL is kept again. The slot must not be in use by a stream.
 */
export async function keepSlot(client: SqlClient, slot: string, safeLsn: bigint | null): Promise<'kept' | 'made'> {
  const found = await oneRow<{ status: string | null }>(
    client,
    'SELECT wal_status AS status FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
  if (found === null || found.status === 'lost') {
    if (found !== null) await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
    await client.query('SELECT pg_create_physical_replication_slot($1, true)', [slot]);
    return 'made';
  }
  if (safeLsn === null) return 'kept';
  // A slot is never moved back, and a server that is behind has nothing to remove yet.
  await client.query(
    `SELECT pg_replication_slot_advance(slot_name, $2::pg_lsn) FROM pg_replication_slots
      WHERE slot_name = $1 AND restart_lsn < $2::pg_lsn`,
    [slot, formatLsn(safeLsn)],
  );
  return 'kept';
}
