import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { slotOf, urlOf } from './config.ts';
import { nameHolder, requireGranter } from '../guarded/granters.ts';
import { forkAfter, readHistory } from './history.ts';
import type { DriverServices } from '../guarded/services.ts';
import { ensureSlot } from './slots.ts';
import { oneRow, withSql, type SqlClient } from './sql.ts';
import { afterChange, done, measure, poll, waitMs, type DriverVerb } from '../guarded/verb.ts';

const POLL_MS = 10;

/**
 * Makes the standby the writer: promotes the server, notes where its history parts from the old one, has the granters
 * name this site for the plan's epoch, and lets the guard open. Repeating it goes on where the last attempt ended.
 * Throws LEASE_REFUSED, AGENT_UNREACHABLE or EPOCH_STALE before anything is changed when no granter could give the lease.
 */
export const promote: DriverVerb = { perform, confirm: readWriter };

async function perform(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const startedAt = performance.now();
  const url = urlOf(input.resource, input.plan.to);
  const limits = { statementMs: 2_000, signal: context.signal };
  // Asked while the connection is made: clients wait from the fence on.
  const backed = requireGranter(input, services, context.signal);
  backed.catch(() => undefined); // awaited before anything is changed
  const work = withSql(url, limits, async (client) => {
    await backed;
    return afterChange(async () => {
      const promoted = await becomePrimary(input, context, client);
      if (promoted === null) return { status: 'not-yet', why: 'the server is still in recovery' };
      const fork = await noteFork(input, client, promoted.oldestXid);
      const opened = await open(input, context, services);
      const [outcome] = await Promise.all([readWriter(input), keepWalFor(input, client)]);
      const seconds = (performance.now() - startedAt) / 1000;
      if (outcome.status !== 'done') return outcome;
      const evidence = { ...outcome.evidence, ...fork, ...opened, seconds, promoteSeconds: promoted.seconds };
      return done(evidence, [measure(input, 'promoteSeconds', 's', { value: seconds, method: 'clock' })]);
    });
  });
  return work.catch(async (err: unknown) => {
    await backed; // who may not promote hears that first, whatever the server says
    throw err;
  });
}

async function becomePrimary(
  input: VerbInput,
  context: VerbContext,
  client: SqlClient,
): Promise<{ seconds: number; oldestXid: string | null } | null> {
  const startedAt = performance.now();
  if (!(await inRecovery(client))) return { seconds: 0, oldestXid: null };
  const row = await oneRow<{ oldest: string; waits_for: string }>(
    client,
    `SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS oldest,
            current_setting('synchronous_standby_names') AS waits_for`,
  );
  if (row?.waits_for !== '') {
    // Nobody is there yet to wait for; replication of the new writer switches it on again.
    await client.query("ALTER SYSTEM SET synchronous_standby_names = ''");
    await client.query('SELECT pg_reload_conf()');
  }
  await client.query('SELECT pg_promote(false)');
  const isPrimary = await poll({ limitMs: waitMs(input), everyMs: POLL_MS, context }, async () =>
    (await inRecovery(client)) ? null : true,
  );
  return isPrimary === null
    ? null
    : { seconds: (performance.now() - startedAt) / 1000, oldestXid: row?.oldest ?? null };
}

/** What the old writer will need when it comes back is kept from here on. Without it a rejoin clones. */
async function keepWalFor({ resource, plan }: VerbInput, client: SqlClient): Promise<void> {
  await ensureSlot(client, slotOf(resource, plan.from)).catch(() => undefined);
}

async function inRecovery(client: SqlClient): Promise<boolean> {
  return (await oneRow<{ standby: boolean }>(client, 'SELECT pg_is_in_recovery() AS standby'))?.standby === true;
}

/**
 * Notes the fork, in the first transaction after it: every transaction with a lower number came from the old writer.
 * Must be done before anybody may write, else a number would mean two transactions (`conflicts.ts` relies on it).
 */
async function noteFork(input: VerbInput, client: SqlClient, oldestXid: string | null): Promise<JsonObject> {
  const { epoch, from, to } = input.plan;
  const history = await readHistory(client);
  const [parent, present] = history.timelines.slice(-2);
  if (parent === undefined || present === undefined) return { timeline: parent?.timeline ?? 0, forkLsn: null };
  const fork = forkAfter(history, parent.timeline);
  await client.query(
    `INSERT INTO muster.fork (timeline, parent_timeline, fork_lsn, first_xid, oldest_xid, epoch, from_site, to_site)
     VALUES ($1, $2, $3, pg_current_xact_id()::text, $4, $5, $6, $7) ON CONFLICT (timeline) DO NOTHING`,
    [present.timeline, parent.timeline, fork?.lsn, oldestXid, epoch, from, to],
  );
  return { timeline: present.timeline, forkLsn: fork?.lsn ?? null };
}

async function open(input: VerbInput, context: VerbContext, services: DriverServices): Promise<JsonObject> {
  const { service, to, epoch } = input.plan;
  const named = await nameHolder(input, services, to, context.signal);
  if (!named.taken.some((site) => site !== to)) {
    throw new MusterError(
      named.stale ? 'EPOCH_STALE' : 'LEASE_REFUSED',
      `no granter took epoch ${epoch}: ${Object.values(named.refused).join('; ')}`,
    );
  }
  await services.guardFor(service, input.resource.name)?.openNow(epoch, waitMs(input));
  return { namedBy: [...named.taken] };
}

/** Done when the server is a primary and takes a client's writes under the lease of exactly this epoch. */
async function readWriter(input: VerbInput): Promise<PerformOutcome> {
  const { plan, resource } = input;
  try {
    return await withSql(urlOf(resource, plan.to), { role: 'client' }, async (client) => {
      if (await inRecovery(client)) return { status: 'not-yet', why: 'the server is still in recovery' };
      const row = await oneRow<{ epoch: string; valid: boolean; read_only: string; lsn: string }>(
        client,
        `SELECT epoch, clock_timestamp() <= deadline AS valid, current_setting('transaction_read_only') AS read_only,
                pg_current_wal_lsn() AS lsn FROM muster.lease`,
      );
      if (row?.valid !== true) return { status: 'not-yet', why: 'the server is a primary, but no lease is held' };
      if (Number(row.epoch) !== plan.epoch)
        return { status: 'not-yet', why: `it is open under epoch ${row.epoch}, not ${plan.epoch}` };
      if (row.read_only !== 'off')
        return { status: 'not-yet', why: 'the server is a primary, but new sessions are read-only' };
      return done({ role: 'primary', epoch: plan.epoch, lsn: row.lsn });
    });
  } catch (err) {
    return { status: 'unknown', why: toMusterError(err).message };
  }
}
