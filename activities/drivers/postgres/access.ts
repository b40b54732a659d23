import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { PlanResource } from '../../../workflows/engine/plan.ts';
import type { GuardedDatabase, HeldLease } from '../../guard/database.ts';
import { siteServer, type SiteServer } from './config.ts';
import { placeOf } from './conninfo.ts';
import { KeptSql } from './kept-sql.ts';
import { bytesBetween } from './lsn.ts';
import { hasServerProcess } from './process.ts';
import { serverState, startServer, stopServer } from './server.ts';
import { oneRow, sqlState, type SqlClient } from './sql.ts';

/** Sessions of guards are told by this name: a new guard ends those of the one before it. */
export const GUARD_SESSION = 'muster-guard';

const POLL_MS = 3;
/** A position reported for inserting may lie this far behind the end of the last record: the header of a new page. */
const PAGE_HEADER_BYTES = 40;

/**
 * The database of a resource at this process' site, for its guard. `leaseMs` sets how long calls may take: a guard gives
 * them a quarter of the lease. @throws MusterError SECRET_MISSING, CONFIG_INVALID
 */
export function guardedPostgres(
  resource: PlanResource,
  site: string,
  leaseMs = 2_000,
): GuardedDatabase & { end(): void } {
  return guardedDatabase(siteServer(resource, site), Math.min(1_000, leaseMs / 5));
}

/**
 * The database beside a guard. Two kept connections: `admin` changes, `probe` reads back as a client would see it.
 * No call waits longer than a few times `limitMs` (default 1 s) for a server that does not answer.
 */
export function guardedDatabase(server: SiteServer, limitMs = 1_000): GuardedDatabase & { end(): void } {
  const options = { connectMs: limitMs, statementMs: limitMs, name: GUARD_SESSION };
  const access: Access = {
    server,
    limitMs,
    admin: new KeptSql(server.url, { ...options, role: 'admin' }),
    probe: new KeptSql(server.url, { ...options, role: 'client' }),
    closings: 0,
  };
  return {
    role: () => readRole(access),
    open: (lease) => openForWriting(access, lease),
    renew: (lease) => renewLease(access, lease),
    close: () => closeForWriting(access),
    stop: (cleanMs) => stop(access, cleanMs),
    start: () => start(access),
    end: () => endSessions(access),
  };
}

interface Access {
  server: SiteServer;
  limitMs: number;
  admin: KeptSql;
  probe: KeptSql;
  /** Closings begun: an opening that was overtaken by one gives up. */
  closings: number;
}

async function readRole(access: Access): ReturnType<GuardedDatabase['role']> {
  try {
    return await access.probe.use(async (client) => ((await isStandby(client)) ? 'standby' : 'primary'));
  } catch {
    // A session outlives its postmaster while it is busy, and may still commit: stopped means no process at all.
    return hasServerProcess(access.server.dataDir) ? 'down' : 'stopped';
  }
}

async function isStandby(client: SqlClient): Promise<boolean> {
  return (await oneRow<{ standby: boolean }>(client, 'SELECT pg_is_in_recovery() AS standby'))?.standby === true;
}

/** `$1` epoch, `$2` milliseconds left, `$3` end by this host's clock: a statement that was held up cannot lengthen a lease. */
const leaseEnd = `least($3::bigint, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2::bigint)`;
const leaseStart = `floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`;

function leaseValues({ epoch, remainingMs, endsAtUnixMs }: HeldLease): unknown[] {
  return [epoch, Math.floor(remainingMs), Math.floor(endsAtUnixMs ?? Date.now() + remainingMs)];
}

async function openForWriting(access: Access, lease: HeldLease): Promise<void> {
  const { closings } = access;
  const values = leaseValues(lease);
  const goOn = (): void => {
    if (access.closings !== closings) throw new MusterError('LEASE_REFUSED', 'the opening was overtaken by a closing');
  };
  await access.admin.use(async (client) => {
    goOn();
    await client.query('DELETE FROM muster.writer_session WHERE pid NOT IN (SELECT pid FROM pg_stat_activity)');
    await client.query(
      `SELECT setval('muster.lease_epoch', $1), setval('muster.lease_granted_ms', ${leaseStart}),
              setval('muster.lease_deadline_ms', ${leaseEnd})`,
      values,
    );
    goOn();
    await setReadOnly(client, false);
    await client.query('SELECT muster.check_lease()');
  });
  await untilReadBack(access, async () => {
    goOn();
    return (await shownReadOnly(access)) === false;
  });
}

async function renewLease(access: Access, lease: HeldLease): Promise<void> {
  const renewed = await access.admin.use((client) =>
    client.query(
      `SELECT setval('muster.lease_granted_ms', ${leaseStart}), setval('muster.lease_deadline_ms', ${leaseEnd})
         FROM muster.lease_epoch e, muster.lease_deadline_ms d WHERE e.last_value = $1 AND d.last_value > 0`,
      leaseValues(lease),
    ),
  );
  if (renewed.rowCount !== 1) throw notOpen(access, `is not open under epoch ${lease.epoch}`);
}

async function closeForWriting(access: Access): Promise<{ finalLsn: string | null }> {
  access.closings++;
  const { dataDir } = access.server;
  if (!hasServerProcess(dataDir)) return { finalLsn: await shutdownPosition(dataDir) };
  return access.admin.use(async (client) => {
    if (await isStandby(client)) return { finalLsn: null };
    await endLease(client);
    await setReadOnly(client, true);
    await untilReadBack(access, () => shownReadOnly(access));
    // Asked after it was used: a probe that connects during the closing would be taken for one of an earlier guard.
    const probePid = await access.probe.pid();
    // Sessions that begin from here on are read-only; clients that reconnect all the time must not hold this up.
    const row = await oneRow<{ now: string }>(client, 'SELECT clock_timestamp()::text AS now');
    const earlier = [probePid, GUARD_SESSION, row?.now];
    await untilReadBack(access, () => endOtherSessions(client, earlier));
    await refusesWrites(access);
    return { finalLsn: await lastPosition(access, client) };
  });
}

/** Everything before the last checkpoint of a clean shutdown is the server's whole history. */
async function shutdownPosition(dataDir: string): Promise<string | null> {
  const state = await serverState(dataDir);
  return state.kind === 'stopped' && state.control.state === 'shut-down' ? state.control.checkpointLsn : null;
}

async function endLease(client: SqlClient): Promise<void> {
  try {
    await client.query("SELECT setval('muster.lease_deadline_ms', 0)");
  } catch (err) {
    // A database that was never prepared has no lease to end; all else is closed the same way.
    if (!['42P01', '3F000'].includes(sqlState(err) ?? '')) throw err;
  }
}

async function setReadOnly(client: SqlClient, readOnly: boolean): Promise<void> {
  await client.query(`ALTER SYSTEM SET default_transaction_read_only = ${readOnly ? 'on' : 'off'}`);
  await client.query('SELECT pg_reload_conf()');
}

/** What a session without settings of its own has now. It sees a new setting after the postmaster, so new sessions have it too. */
async function shownReadOnly(access: Access): Promise<boolean> {
  return access.probe.use(async (client) => {
    const row = await oneRow<{ shown: string }>(
      client,
      "SELECT current_setting('default_transaction_read_only') AS shown",
    );
    return row?.shown === 'on';
  });
}

/**
 * Ends every client's session that began before a moment, and those of earlier guards; true once there is none. Muster's
 * other sessions may stay: the lease check holds for them as well.
 */
async function endOtherSessions(client: SqlClient, probeNameMoment: unknown[]): Promise<boolean> {
  const { rows } = await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND pid IS DISTINCT FROM $1
        AND (usename IS DISTINCT FROM current_user OR application_name = $2) AND backend_start <= $3::timestamptz`,
    probeNameMoment,
  );
  return rows.length === 0;
}

/** The proof of a closed door: a write is tried as a client would try it. */
async function refusesWrites(access: Access): Promise<void> {
  const refusal = await access.probe.use(async (client) => {
    try {
      await client.query('BEGIN; CREATE TABLE muster.must_not_be ()');
      return null;
    } catch (err) {
      return sqlState(err);
    } finally {
      await client.query('ROLLBACK');
    }
  });
  if (refusal !== '25006') throw notOpen(access, 'still takes writes');
}

/** End of the last record, once it is on disk and so can reach the standby. */
async function lastPosition(access: Access, client: SqlClient): Promise<string | null> {
  let flushed: string | null = null;
  await untilReadBack(access, async () => {
    const row = await oneRow<{ inserted: string; flushed: string }>(
      client,
      'SELECT pg_current_wal_insert_lsn() AS inserted, pg_current_wal_flush_lsn() AS flushed',
    );
    flushed = row?.flushed ?? null;
    return (bytesBetween(row?.inserted, flushed) ?? 0) <= PAGE_HEADER_BYTES;
  });
  return flushed;
}

async function untilReadBack(access: Access, isSo: () => Promise<boolean>): Promise<void> {
  const endsAt = performance.now() + access.limitMs;
  while (!(await isSo())) {
    if (performance.now() > endsAt) throw notOpen(access, `does not confirm within ${access.limitMs} ms`);
    await sleep(POLL_MS);
  }
}

async function stop(access: Access, cleanMs = 5_000): Promise<void> {
  endSessions(access);
  await stopServer(access.server.dataDir, { fastMs: cleanMs, immediateMs: cleanMs > 0 ? 2_000 : 100 });
}

async function start(access: Access): Promise<void> {
  const { dataDir, binDir, settings } = access.server;
  await startServer({ dataDir, settings, closed: true, ...(binDir === undefined ? {} : { binDir }) });
}

function endSessions(access: Access): void {
  access.admin.end();
  access.probe.end();
}

function notOpen(access: Access, what: string): MusterError {
  return new MusterError(
    'DATABASE_UNREACHABLE',
    `database of ${access.server.site} at ${placeOf(access.server.url)} ${what}`,
  );
}
