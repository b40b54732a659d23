import { toMusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { newestProbe, PROBE_WRITER_ID, writeCanary } from './canary.ts';
import { sharedConfig, slotOf, urlOf } from './config.ts';
import { observeLag, type Lag } from './lag.ts';
import { hasReached } from './lsn.ts';
import type { DriverServices } from '../guarded/services.ts';
import { isStreaming } from './slots.ts';
import { connectSql, dropSql, oneRow, type SqlClient } from './sql.ts';
import { done, measure, poll, waitMs, type DriverVerb } from '../guarded/verb.ts';

/**
 * Waits until the service is protected again: the standby `args.standby` streams from the new writer and is inside the
 * objective, by position and by a mark of our own that one clock times on its way over. With `synchronous: true` commits
 * wait for it from here on. Throws DATABASE_UNREACHABLE.
 */
export const replicate: DriverVerb = { perform: protect, confirm: protect };

interface Pair {
  primary: SqlClient;
  standby: SqlClient;
  standbyName: string;
}

async function protect(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const { resource } = input;
  const { writer, standby } = roles(input);
  const limits = { connectMs: 1_000, statementMs: 2_000, signal: context.signal };
  const primary = await connectSql(urlOf(resource, writer), limits);
  try {
    const standbyName = slotOf(resource, standby);
    const limit = { limitMs: waitMs(input) / 2, everyMs: 50, context };
    const streams = await poll(limit, async () => ((await isStreaming(primary, standbyName)) ? true : null));
    if (streams === null) return { status: 'not-yet', why: `${writer} does not list ${standbyName} as streaming` };
    const client = await connectSql(urlOf(resource, standby), limits);
    try {
      return await judgePair(input, context, services, { primary, standby: client, standbyName });
    } finally {
      dropSql(client);
    }
  } catch (err) {
    return { status: 'not-yet', why: toMusterError(err, 'DATABASE_UNREACHABLE').message };
  } finally {
    dropSql(primary);
  }
}

function roles(input: VerbInput): { writer: string; standby: string } {
  const { from, to, kind } = input.plan;
  const [writer, standby] = kind === 'reprotect' ? [from, to] : [to, from];
  const named = input.args['standby'];
  return { writer, standby: typeof named === 'string' ? named : standby };
}

async function judgePair(
  input: VerbInput,
  context: VerbContext,
  services: DriverServices,
  pair: Pair,
): Promise<PerformOutcome> {
  const { rpoSeconds } = input.plan.objectives;
  const goal = await oneRow<{ lsn: string }>(pair.primary, 'SELECT pg_current_wal_lsn() AS lsn');
  const lagSeconds = await timeProbe(input, context, pair);
  if (lagSeconds === null || lagSeconds > rpoSeconds) {
    const seen = lagSeconds === null ? 'has not arrived' : `took ${lagSeconds.toFixed(2)} s`;
    return {
      status: 'not-yet',
      why: `a mark written to the primary ${seen} at the standby (objective ${rpoSeconds} s)`,
    };
  }
  const lag = await observeLag({ ...pair, applicationName: pair.standbyName, nowMs: services.nowMs });
  if (!hasReached(lag.replayLsn, goal?.lsn))
    return { status: 'not-yet', why: `the standby is at ${lag.replayLsn}, not yet at ${goal?.lsn}` };
  if (sharedConfig(input.resource).synchronous && !(await makeSynchronous(context, pair))) {
    return { status: 'not-yet', why: 'the standby is not synchronous yet' };
  }
  return done({ ...lag, probeSeconds: lagSeconds }, figures(input, lag, lagSeconds));
}

/** Seconds from before a commit on the primary until the standby shows it; `null` when it did not in time. */
async function timeProbe(input: VerbInput, context: VerbContext, { primary, standby }: Pair): Promise<number | null> {
  const startedAt = performance.now();
  const sent = await writeCanary(primary, PROBE_WRITER_ID, Date.now());
  const limitMs = Math.min(waitMs(input) / 2, input.plan.objectives.rpoSeconds * 1000 + 500);
  const arrived = await poll({ limitMs, everyMs: 5, context }, async () => {
    const newest = await newestProbe(standby);
    return newest !== null && newest.seq >= sent.seq ? true : null;
  });
  return arrived === null ? null : (performance.now() - startedAt) / 1000;
}

/** A promotion had switched it off, since nobody was there to wait for. */
async function makeSynchronous(context: VerbContext, { primary, standbyName }: Pair): Promise<boolean> {
  await primary.query('ALTER SYSTEM RESET synchronous_standby_names');
  await primary.query('SELECT pg_reload_conf()');
  const isSo = await poll({ limitMs: 1_000, everyMs: 10, context }, async () =>
    oneRow(
      primary,
      "SELECT 1 FROM pg_stat_replication WHERE application_name = $1 AND sync_state IN ('sync', 'quorum')",
      [standbyName],
    ),
  );
  return isSo !== null;
}

function figures(input: VerbInput, lag: Lag, probeSeconds: number) {
  return [
    measure(input, 'lagBytes', 'B', { value: lag.bytes, method: 'lsn' }),
    measure(input, 'lagSeconds', 's', { value: probeSeconds, method: 'probe' }),
    measure(input, 'lagSeconds', 's', { value: lag.canarySeconds, method: 'canary', confidence: 'estimated' }),
    measure(input, 'lagSeconds', 's', { value: lag.replySeconds, method: 'reply-age', confidence: 'estimated' }),
  ];
}
