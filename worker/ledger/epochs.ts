import { MusterError } from '../../workflows/engine/errors.ts';
import type { Sql } from './connection.ts';
import type { EpochRow } from './types.ts';

export interface EpochTaken {
  service: string;
  epoch: number;
  /** Site that is to write in this epoch. */
  holder: string;
  runId: string | null;
}

const columns = `service, epoch, holder, run_id AS "runId", (extract(epoch FROM taken_at) * 1000)::float8 AS "takenAtMs"`;

/**
 * Raises the epoch of a service. The same epoch for the same holder and run again changes nothing. Call it inside a
 * transaction: takers of one service queue up.
 * @throws MusterError EPOCH_STALE when the epoch is not higher than every one seen
 */
export async function insertEpoch(sql: Sql, { service, epoch, holder, runId }: EpochTaken): Promise<EpochRow> {
  // Two takers that both saw the old epoch must not land in falling order.
  await sql.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`muster epoch ${service}`]);
  const current = await selectCurrentEpoch(sql, service);
  if (current?.epoch === epoch && current.holder === holder && current.runId === runId) return current;
  if (current !== null && current.epoch >= epoch)
    throw new MusterError(
      'EPOCH_STALE',
      `epoch ${epoch} of ${service} for ${holder} comes after epoch ${current.epoch} of ${current.holder}`,
    );
  const [row] = await sql.rows<EpochRow>(
    `INSERT INTO ledger.epochs (service, epoch, holder, run_id) VALUES ($1, $2, $3, $4) RETURNING ${columns}`,
    [service, epoch, holder, runId],
  );
  return row as EpochRow;
}

/** The highest epoch of a service and its holder; null when none was ever taken. */
export async function selectCurrentEpoch(sql: Sql, service: string): Promise<EpochRow | null> {
  const [row] = await sql.rows<EpochRow>(
    `SELECT ${columns} FROM ledger.epochs WHERE service = $1 ORDER BY epoch DESC LIMIT 1`,
    [service],
  );
  return row ?? null;
}

/** All epochs of a service in order. */
export async function selectEpochs(sql: Sql, service: string): Promise<EpochRow[]> {
  return sql.rows<EpochRow>(`SELECT ${columns} FROM ledger.epochs WHERE service = $1 ORDER BY epoch`, [service]);
}
