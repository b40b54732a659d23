import { Context } from '@temporalio/activity';
import type { Driver, VerbContext, VerbHandler } from '../activities/driver.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { PerformOutcome, VerbCall } from '../workflows/engine/ports.ts';
import type { LedgerBatch } from '../workflows/io.ts';
import { toApplicationFailure } from './failures.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

const heartbeatEveryMs = 500;

export interface ActivityDeps {
  drivers: Readonly<Record<string, Driver>>;
  log: Log;
  metrics: Metrics;
  /** Only the control plane's worker writes the ledger. */
  recordBatch?: (batch: LedgerBatch) => Promise<void>;
  /** Activities by name besides the verbs. */
  more?: Readonly<Record<string, (arg: never) => Promise<unknown>>>;
}

/** The verbs for real. Steps are named `verb resource`, so one activity takes every name that is not listed. */
export function createActivities(deps: ActivityDeps): Record<string, (arg: never) => Promise<unknown>> {
  const { recordBatch } = deps;
  return {
    ...(recordBatch && { 'record ledger': (batch: LedgerBatch) => recordBatch(batch) }),
    ...deps.more,
    'check worker': async () => process.uptime(),
    default: (call: VerbCall) => callVerb(deps, call),
  };
}

async function callVerb(deps: ActivityDeps, call: VerbCall): Promise<PerformOutcome> {
  const { op, input } = call;
  const handler = findHandler(deps.drivers, call);
  const activity = Context.current();
  const beat = setInterval(() => activity.heartbeat(), heartbeatEveryMs);
  const startedAt = performance.now();
  const log = deps.log.child({ runId: input.runId, step: input.stepId, op });
  try {
    const outcome = await invoke(handler, call, {
      signal: AbortSignal.any([activity.cancellationSignal, AbortSignal.timeout(input.timeoutMs)]),
      heartbeat: (detail) => activity.heartbeat(detail),
      log: (message, fields) => log.info({ ...fields }, message),
    });
    log.info({ status: outcome.status, tookMs: Math.round(performance.now() - startedAt) }, `${op} ${input.verb}`);
    return outcome;
  } catch (err) {
    log.warn({ err: err instanceof Error ? err.message : String(err) }, `${op} ${input.verb} failed`);
    throw toApplicationFailure(err, handler.effect);
  } finally {
    clearInterval(beat);
    deps.metrics.stepSeconds.observe({ verb: input.verb, op }, (performance.now() - startedAt) / 1000);
  }
}

function invoke(handler: VerbHandler, { op, input }: VerbCall, context: VerbContext): Promise<PerformOutcome> {
  if (op === 'perform') return handler.perform(input, context);
  if (handler.confirm === undefined) return handler.perform(input, context);
  return handler.confirm(input, context);
}

function findHandler(drivers: ActivityDeps['drivers'], { input }: VerbCall): VerbHandler {
  const handler = drivers[input.resource.driver]?.verbs[input.verb];
  if (handler !== undefined) return handler;
  throw toApplicationFailure(
    new MusterError('PLAN_UNSAFE', `driver ${input.resource.driver} has no verb ${input.verb}`),
    'read',
  );
}
