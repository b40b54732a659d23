import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { oneRow, withSql, type SqlClient } from '../../drivers/postgres/sql.ts';
import { readRecoveryLog } from './recovery-log.ts';

/** Where a recovery came to. */
export interface Reached {
  /** End of the last record that was replayed. */
  lsn: string;
  /** Unix milliseconds of the last commit that was replayed, by the source's clock; `null` when none was. */
  lastTransactionAtMs: number | null;
  /** The timeline the server is on now: a new one after a promotion. */
  timeline: number;
  /** All files agreed from here on. */
  consistentLsn: string | null;
  /** Why it stopped there, in the server's words; `null`: the end of WAL. */
  why: string | null;
}

export interface ReachedOptions {
  url: string;
  action: 'promote' | 'pause';
  /** The server's log so far. */
  log: string;
  signal: AbortSignal | undefined;
}

const pauseLimitMs = 86_400_000;

/** Asks the server. With `pause` it may serve readers before it has come to its target: waits until it has. */
export async function readReached({ url, action, log, signal }: ReachedOptions): Promise<Reached> {
  const limits = { connectMs: 5_000, statementMs: 10_000, ...(signal === undefined ? {} : { signal }) };
  const told = readRecoveryLog(log);
  return withSql(url, limits, async (client) => {
    if (action === 'pause') await untilPaused(client, signal);
    const row = await oneRow<{ lsn: string; at: number | null; timeline: number }>(
      client,
      `SELECT pg_last_wal_replay_lsn()::text AS lsn,
              floor(extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000)::float8 AS at,
              CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
                   ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END AS timeline`,
    );
    if (!row?.lsn) throw new MusterError('RESTORE_FAILED', 'the restored server does not say how far it replayed');
    const { consistentLsn, stoppedWhy, lastTransactionAtMs } = told;
    return {
      lsn: row.lsn,
      lastTransactionAtMs: row.at ?? lastTransactionAtMs,
      timeline: row.timeline,
      consistentLsn,
      why: stoppedWhy,
    };
  });
}

/** At the end of all WAL there is nothing to pause for: it is promoted then. */
async function untilPaused(client: SqlClient, signal: AbortSignal | undefined): Promise<void> {
  const endsAt = performance.now() + pauseLimitMs;
  while (performance.now() < endsAt && signal?.aborted !== true) {
    const row = await oneRow<{ isThere: boolean }>(
      client,
      `SELECT CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() = 'paused' ELSE true END AS "isThere"`,
    );
    if (row?.isThere === true) return;
    await sleep(20);
  }
}
