import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { newestCanary } from './canary.ts';
import { slotOf, urlOf } from './config.ts';
import { guardAt, isShut } from '../guarded/granters.ts';
import type { DriverServices } from '../guarded/services.ts';
import { oneRow, withSql } from './sql.ts';
import { done, measure, type DriverVerb } from '../guarded/verb.ts';

const ALIVE_MS = 1_000;
/** An unplanned move asks the source too, in case it lives, but never waits for it. */
const COURTESY_MS = 200;

/** What a server says of itself, in one question. */
interface Identity {
  systemId: string;
  majorVersion: number;
  standby: boolean;
  /** Position replayed by a standby, written by a primary. */
  lsn: string;
  followers: string[];
  canaryAtMs: number | null;
}

/**
 * Before anything is changed: the site to move to has a living standby of this very database; for a reprotect the writer
 * is alive and the database at the returning site is closed. Estimates the loss if the move were made now.
 * Throws TARGET_DEAD, TARGET_NOT_STANDBY, ALREADY_PRIMARY; LAG_UNKNOWN while the source is up and does not feed the target.
 */
export const check: DriverVerb = {
  perform: (input, context, services) =>
    input.plan.kind === 'reprotect' ? checkReturning(input, context, services) : checkTarget(input, services),
};

async function checkTarget(input: VerbInput, services: DriverServices): Promise<PerformOutcome> {
  const { plan, resource } = input;
  const sourceMs = plan.mode === 'ungraceful' ? COURTESY_MS : ALIVE_MS;
  const seenDown = plan.mode === 'ungraceful' && input.clocks.detected !== undefined;
  const [target, source] = await Promise.all([
    identify(input, plan.to, ALIVE_MS),
    seenDown ? new MusterError('DATABASE_UNREACHABLE', 'seen down') : identify(input, plan.from, sourceMs),
  ]);
  if (target instanceof MusterError)
    throw new MusterError('TARGET_DEAD', `${resource.name} at ${plan.to}: ${target.message}`);
  if (!target.standby) throw new MusterError('ALREADY_PRIMARY', `${resource.name} at ${plan.to} is a primary already`);
  const [alive, silence] = source instanceof MusterError ? [null, source.message] : [source, ''];
  if (alive !== null) refuseStranger(input, target, alive);
  if (alive === null && plan.mode === 'graceful' && plan.kind !== 'drill') {
    throw new MusterError('DATABASE_UNREACHABLE', `${resource.name} at ${plan.from} takes no part: ${silence}`);
  }
  const evidence: JsonObject = { target: evidenceOf(target), source: alive === null ? null : evidenceOf(alive) };
  return done(evidence, [lossIfNow(input, target, services.nowMs())]);
}

/** In a planned run nothing is lost if all goes well, so the estimate is a forecast there and no verdict. */
function lossIfNow(input: VerbInput, target: Identity, nowMs: number) {
  const until = input.clocks.detected ?? input.clocks.fault ?? nowMs;
  const value = target.canaryAtMs === null ? null : Math.max(0, (until - target.canaryAtMs) / 1000);
  const isFigure = input.plan.mode === 'ungraceful' || value === null || value > input.plan.objectives.rpoSeconds;
  const name = isFigure ? 'rpoSeconds' : 'rpoForecastSeconds';
  return measure(input, name, 's', { value, method: 'canary', confidence: 'estimated' });
}

function refuseStranger(input: VerbInput, target: Identity, source: Identity): void {
  const { plan, resource } = input;
  const where = `${resource.name} at ${plan.to}`;
  if (target.systemId !== source.systemId) {
    throw new MusterError(
      'TARGET_NOT_STANDBY',
      `${where} is a copy of another server (system id ${target.systemId}, source ${source.systemId})`,
    );
  }
  if (target.majorVersion !== source.majorVersion) {
    throw new MusterError(
      'TARGET_NOT_STANDBY',
      `${where} runs PostgreSQL ${target.majorVersion}, its source ${source.majorVersion}`,
    );
  }
  if (source.standby)
    throw new MusterError(
      'TARGET_NOT_STANDBY',
      `${resource.name} at ${plan.from} is a standby itself: nobody holds the writer`,
    );
  if (plan.mode === 'graceful' && plan.kind !== 'drill' && !source.followers.includes(slotOf(resource, plan.to))) {
    throw new MusterError('LAG_UNKNOWN', `${where} does not follow ${plan.from}: no such row in pg_stat_replication`);
  }
}

async function identify(input: VerbInput, site: string, limitMs: number): Promise<Identity | MusterError> {
  try {
    return await withSql(urlOf(input.resource, site), { connectMs: limitMs, statementMs: limitMs }, async (client) => {
      const row = await oneRow<{
        system_id: string;
        version: string;
        standby: boolean;
        lsn: string;
        followers: string[];
      }>(
        client,
        `SELECT (SELECT system_identifier FROM pg_control_system()) AS system_id, current_setting('server_version_num') AS version,
                pg_is_in_recovery() AS standby,
                CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn,
                ARRAY(SELECT application_name FROM pg_stat_replication WHERE state = 'streaming') AS followers`,
      );
      const canary = await newestCanary(client).catch(() => null);
      return {
        systemId: row?.system_id ?? '',
        majorVersion: Math.floor(Number(row?.version ?? 0) / 10_000),
        standby: row?.standby ?? false,
        lsn: row?.lsn ?? '',
        followers: row?.followers ?? [],
        canaryAtMs: canary?.writtenAtMs ?? null,
      };
    });
  } catch (err) {
    return toMusterError(err, 'DATABASE_UNREACHABLE');
  }
}

function evidenceOf({ systemId, majorVersion, standby, lsn, canaryAtMs }: Identity): JsonObject {
  return { systemId, majorVersion, role: standby ? 'standby' : 'primary', lsn, newestCanaryAtMs: canaryAtMs };
}

async function checkReturning(
  input: VerbInput,
  context: VerbContext,
  services: DriverServices,
): Promise<PerformOutcome> {
  const { plan, resource } = input;
  const limit = { timeoutMs: ALIVE_MS, signal: context.signal };
  const [writer, guard] = await Promise.all([
    identify(input, plan.from, ALIVE_MS),
    guardAt(input, services, plan.to, limit).catch((err: unknown) => toMusterError(err)),
  ]);
  if (writer instanceof MusterError) throw writer;
  if (writer.standby)
    throw new MusterError('TARGET_NOT_STANDBY', `${resource.name} at ${plan.from} is a standby: it cannot be followed`);
  if (guard instanceof MusterError)
    throw new MusterError('TARGET_DEAD', `${resource.name} at ${plan.to}: ${guard.message}`);
  if (!isShut(guard.state)) {
    context.log(`the database at ${plan.to} is ${guard.state}: it will be closed first`);
  }
  return done({ writer: evidenceOf(writer), returning: { state: guard.state, epoch: guard.epoch, why: guard.why } });
}
