import { newestCanary } from './canary.ts';
import { bytesBetween } from './lsn.ts';
import { oneRow, type SqlClient } from './sql.ts';

/**
 * How far a standby is behind, by three methods that fail differently. What could not be read is `null` and never
 * counts as small: a frozen receiver shows as `streaming` with empty lag columns.
 */
export interface Lag {
  /** The primary lists the standby as streaming. */
  streaming: boolean;
  /** WAL written by the primary and not yet replayed, by positions read from both servers themselves. */
  bytes: number | null;
  /** Now minus the newest mark found on the standby, by the clock that writes the marks; includes the marks' interval. */
  canarySeconds: number | null;
  /** Age of the receiver's last answer, both times by the standby's clock. */
  replySeconds: number | null;
  primaryLsn: string | null;
  replayLsn: string | null;
  /** `sync` or `quorum` when commits wait for this standby. */
  syncState: string | null;
}

export interface LagQuestion {
  /** `null` when the server cannot be reached. */
  primary: SqlClient | null;
  standby: SqlClient | null;
  applicationName: string;
  /** The clock that writes the canary marks, Unix milliseconds. */
  nowMs: () => number;
}

export async function observeLag(question: LagQuestion): Promise<Lag> {
  // The standby first: then the primary's position is the later one and the difference never too small.
  const standby = await readStandby(question);
  const primary = await readPrimary(question);
  const replied = primary?.repliedAtMs ?? null;
  return {
    streaming: primary?.state === 'streaming',
    bytes: bytesBetween(primary?.lsn, standby?.replayLsn),
    canarySeconds: standby?.canarySeconds ?? null,
    replySeconds: replied === null || standby === null ? null : Math.max(0, (standby.clockMs - replied) / 1000),
    primaryLsn: primary?.lsn ?? null,
    replayLsn: standby?.replayLsn ?? null,
    syncState: primary?.syncState ?? null,
  };
}

async function readStandby({ standby, nowMs }: LagQuestion) {
  if (standby === null) return null;
  const row = await oneRow<{ replay_lsn: string | null; clock_ms: string }>(
    standby,
    `SELECT pg_last_wal_replay_lsn() AS replay_lsn, extract(epoch FROM clock_timestamp()) * 1000 AS clock_ms`,
  ).catch(() => null);
  if (row === null) return null;
  const canary = await newestCanary(standby).catch(() => null);
  const canarySeconds = canary === null ? null : Math.max(0, (nowMs() - canary.writtenAtMs) / 1000);
  return { replayLsn: row.replay_lsn, clockMs: Number(row.clock_ms), canarySeconds };
}

async function readPrimary({ primary, applicationName }: LagQuestion) {
  if (primary === null) return null;
  const row = await oneRow<{ lsn: string; state: string | null; replied_ms: string | null; sync_state: string | null }>(
    primary,
    `SELECT pg_current_wal_lsn() AS lsn, r.state, r.sync_state, extract(epoch FROM r.reply_time) * 1000 AS replied_ms
       FROM (SELECT 1) one LEFT JOIN pg_stat_replication r ON r.application_name = $1
      ORDER BY r.reply_time DESC NULLS LAST LIMIT 1`,
    [applicationName],
  ).catch(() => null);
  if (row === null) return null;
  const repliedAtMs = row.replied_ms === null ? null : Number(row.replied_ms);
  return { lsn: row.lsn, state: row.state, syncState: row.sync_state, repliedAtMs };
}

export type LagVerdict = { kind: 'inside' } | { kind: 'outside'; why: string } | { kind: 'unknown'; why: string };

/** Whether the standby is inside the objective by every method. Bytes have no objective in seconds: they must be known. */
export function judgeLag(lag: Lag, rpoSeconds: number): LagVerdict {
  if (!lag.streaming) return { kind: 'unknown', why: 'the primary does not list the standby as streaming' };
  if (lag.bytes === null) return { kind: 'unknown', why: 'the positions of both servers cannot be read' };
  if (lag.canarySeconds === null) return { kind: 'unknown', why: 'there is no canary mark on the standby' };
  if (lag.replySeconds === null) return { kind: 'unknown', why: 'the standby has never answered the primary' };
  if (lag.canarySeconds > rpoSeconds)
    return { kind: 'outside', why: `the newest mark is ${lag.canarySeconds.toFixed(1)} s old` };
  if (lag.replySeconds > Math.max(rpoSeconds, 2)) {
    return { kind: 'outside', why: `the standby has not answered for ${lag.replySeconds.toFixed(1)} s` };
  }
  return { kind: 'inside' };
}
