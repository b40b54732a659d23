import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { Measurement } from '../../../workflows/engine/measure.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { newestCanary } from './canary.ts';
import { slotOf, urlOf } from './config.ts';
import { judgeLag, observeLag, type Lag } from './lag.ts';
import { hasReached } from './lsn.ts';
import type { DriverServices } from '../guarded/services.ts';
import { connectSql, dropSql, oneRow, withSql, type SqlClient } from './sql.ts';
import { done, evidenceText, measure, poll, waitMs, type DriverVerb } from '../guarded/verb.ts';

/**
 * Three looks at how far the standby is: `{prepare: true}` while the source still runs (with a checkpoint there, so that
 * it can stop fast), `{freeze: true}` after the fence, for good, and without arguments the lag of now.
 */
export const observe: DriverVerb = {
  perform: (input, context, services) =>
    input.args['freeze'] === true ? freeze(input, context) : lagOfNow(input, context, services),
};

async function lagOfNow(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const { plan, resource } = input;
  const limits = { connectMs: 1_000, statementMs: waitMs(input), signal: context.signal };
  const reach = async (site: string): Promise<SqlClient | null> =>
    connectSql(urlOf(resource, site), limits).catch((err: unknown) => {
      context.log(`${resource.name} at ${site}: ${toMusterError(err).message}`);
      return null;
    });
  const [primary, standby] = await Promise.all([reach(plan.from), reach(plan.to)]);
  try {
    if (input.args['prepare'] === true) await primary?.query('CHECKPOINT');
    const catchUpSeconds = await catchUp(input, context, primary, standby);
    const lag = await observeLag({
      primary,
      standby,
      applicationName: slotOf(resource, plan.to),
      nowMs: services.nowMs,
    });
    return lagOutcome(input, lag, catchUpSeconds);
  } finally {
    for (const client of [primary, standby]) if (client !== null) dropSql(client);
  }
}

/** Seconds until the standby has replayed what the primary had written at this moment; `null` when it did not in time. */
async function catchUp(
  input: VerbInput,
  context: VerbContext,
  primary: SqlClient | null,
  standby: SqlClient | null,
): Promise<number | null> {
  if (primary === null || standby === null) return null;
  const goal = await oneRow<{ lsn: string }>(primary, 'SELECT pg_current_wal_lsn() AS lsn').catch(() => null);
  const startedAt = performance.now();
  const limitMs = Math.min(waitMs(input) / 2, input.plan.objectives.rpoSeconds * 1000 + 500);
  const reached = await poll({ limitMs, everyMs: 10, context }, async () => {
    const at = await oneRow<{ lsn: string }>(standby, 'SELECT pg_last_wal_replay_lsn() AS lsn').catch(() => null);
    return hasReached(at?.lsn, goal?.lsn) ? true : null;
  });
  return reached === null ? null : (performance.now() - startedAt) / 1000;
}

function lagOutcome(input: VerbInput, lag: Lag, catchUpSeconds: number | null): PerformOutcome {
  const { rpoSeconds } = input.plan.objectives;
  const verdict = judgeLag(lag, rpoSeconds);
  const figures: Measurement[] = [
    measure(input, 'lagBytes', 'B', { value: lag.bytes, method: 'lsn' }),
    measure(input, 'lagSeconds', 's', { value: catchUpSeconds, method: 'lsn' }),
    measure(input, 'lagSeconds', 's', { value: lag.canarySeconds, method: 'canary' }),
    measure(input, 'lagSeconds', 's', { value: lag.replySeconds, method: 'reply-age', confidence: 'estimated' }),
  ];
  const inside = verdict.kind === 'inside' && catchUpSeconds !== null && catchUpSeconds <= rpoSeconds;
  // Only what is over the objective, or unknown, is put before a person as a loss.
  if (!inside) {
    const value = verdict.kind === 'unknown' ? null : lag.canarySeconds;
    const loss = value === null || catchUpSeconds === null ? null : Math.max(value, lag.replySeconds ?? 0);
    figures.push(measure(input, 'rpoSeconds', 's', { value: loss, method: 'canary', confidence: 'estimated' }));
  }
  const why = verdict.kind === 'inside' ? null : verdict.why;
  return done({ ...lag, catchUpSeconds, inside, why }, figures);
}

interface Reached {
  receivedLsn: string | null;
  replayedLsn: string;
  timeline: number;
  /** Commit time of the last transaction replayed, by the source's clock; Unix milliseconds. */
  lastCommitAtMs: number | null;
  /** Commit time of the newest mark, by the same clock: less the time in the mark it is how far the two clocks differ. */
  canaryCommitAtMs: number | null;
  canaryAtMs: number | null;
  canarySeq: number | null;
  pending: boolean;
}

/**
 * After the fence: waits until all that was received (and in a planned run all that was written) is replayed, then reads
 * for good how far the data goes. Throws RPO-relevant failures as LAG_UNKNOWN; changes nothing.
 */
async function freeze(input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const { plan, resource } = input;
  const finalLsn = evidenceText(input, 'finalLsn');
  const url = urlOf(resource, plan.to);
  return withSql(url, { statementMs: 2_000, signal: context.signal }, async (client) => {
    const mustReach = plan.mode === 'graceful' ? finalLsn : null;
    const hasStopped = evidenceText(input, 'guardState') === 'stopped';
    let last: Reached | null = null;
    const settled = await poll({ limitMs: waitMs(input), everyMs: 10, context }, async () => {
      const before = last?.receivedLsn ?? null;
      last = await readReached(client);
      if (mustReach !== null && !hasReached(last.replayedLsn, mustReach)) return null;
      // Of a writer that was stopped nothing is on its way in any more: it ended when its standby had all of it.
      if (mustReach !== null && hasStopped && !last.pending) return last;
      // Twice the same: what was still on its way in has arrived.
      return !last.pending && (before === last.receivedLsn || last.receivedLsn === null) ? last : null;
    });
    const reached: Reached | null = settled ?? last;
    if (reached === null)
      throw new MusterError('LAG_UNKNOWN', `${resource.name} at ${plan.to}: its position cannot be read`);
    if (settled === null && mustReach !== null) {
      throw new MusterError(
        'LAG_UNKNOWN',
        `${resource.name} at ${plan.to} has replayed ${reached.replayedLsn}, the old writer ended at ${mustReach}`,
      );
    }
    const complete = hasReached(reached.replayedLsn, finalLsn);
    return done(evidenceOf(reached, finalLsn, complete), losses(input, reached, complete));
  });
}

async function readReached(client: SqlClient): Promise<Reached> {
  const row = await oneRow<{
    standby: boolean;
    received: string | null;
    replayed: string;
    timeline: string;
    committed_ms: string | null;
    mark_committed_ms: string | null;
  }>(
    client,
    `SELECT pg_is_in_recovery() AS standby, pg_last_wal_receive_lsn() AS received,
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS replayed,
            (SELECT coalesce((SELECT received_tli FROM pg_stat_wal_receiver), timeline_id) FROM pg_control_checkpoint()) AS timeline,
            extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000 AS committed_ms,
            CASE WHEN current_setting('track_commit_timestamp') = 'on' THEN extract(epoch FROM (SELECT pg_xact_commit_timestamp(xmin)
              FROM muster.canary WHERE id > 0 ORDER BY written_at_ms DESC LIMIT 1)) * 1000 END AS mark_committed_ms`,
  );
  const canary = await newestCanary(client);
  const [received, replayed] = [row?.received ?? null, row?.replayed ?? ''];
  return {
    receivedLsn: received,
    replayedLsn: replayed,
    timeline: Number(row?.timeline ?? 0),
    lastCommitAtMs: numberOrNull(row?.committed_ms),
    canaryCommitAtMs: numberOrNull(row?.mark_committed_ms),
    canaryAtMs: canary?.writtenAtMs ?? null,
    canarySeq: canary?.seq ?? null,
    pending: row?.standby === true && received !== null && !hasReached(replayed, received),
  };
}

function numberOrNull(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

/**
 * Nothing is lost when the writer's very last position is here. Otherwise the loss runs from the newest recovered point
 * to the fault (or, when no fault was seen, to the fence): by the marks, whose one clock also dates the fault, and by
 * the source's commit times, less what its clock differs from that one. A mark is dated before it is sent, so that
 * difference is never too small and neither is the loss.
 */
function losses(input: VerbInput, reached: Reached, complete: boolean): Measurement[] {
  if (complete) return [measure(input, 'rpoSeconds', 's', { value: 0, method: 'canary' })];
  // t0 is the earliest the fault can have been; the writer may have acknowledged until it was seen to be down.
  const until = input.clocks.detected ?? input.clocks.fault ?? input.clocks.fenced ?? null;
  const since = (from: number | null): number | null =>
    until === null || from === null ? null : Math.max(0, (until - from) / 1000);
  return [
    measure(input, 'rpoSeconds', 's', { value: since(reached.canaryAtMs), method: 'canary' }),
    measure(input, 'rpoSeconds', 's', {
      value: since(lastCommitByOurClock(reached)),
      method: 'commit-timestamp',
      confidence: 'estimated',
    }),
  ];
}

function lastCommitByOurClock({ lastCommitAtMs, canaryCommitAtMs, canaryAtMs }: Reached): number | null {
  if (lastCommitAtMs === null || canaryCommitAtMs === null || canaryAtMs === null) return null;
  return lastCommitAtMs - (canaryCommitAtMs - canaryAtMs);
}

function evidenceOf(reached: Reached, finalLsn: string | null, complete: boolean): JsonObject {
  const { pending, ...positions } = reached;
  return { ...positions, allReplayed: !pending, sourceFinalLsn: finalLsn, complete };
}
