import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { putEpoch } from '../../guard/client.ts';
import type { CloseAnswer } from '../../guard/protocol.ts';
import {
  agentOf,
  ASK_MS,
  closeAt,
  guardAt,
  isShut,
  leaseProof,
  leaseMarginMs,
  readStopped,
  stopAll,
  type StoppedGranter,
} from '../guarded/granters.ts';
import type { DriverServices } from '../guarded/services.ts';
import { afterChange, done, waitMs, type DriverVerb } from '../guarded/verb.ts';

/** For reading back: a site that is believed dead is asked all the same, for no longer than this. */
const DEAD_SITE_MS = 300;

/**
 * Takes the pen from the old writer. Two proofs, either of which is enough: its guard has closed and stopped the
 * database and answers so (`by: 'guard'`), or every granter has stopped granting and the end of its last grant has
 * passed (`by: 'lease'`). A planned run needs the first, because it also needs the last position written.
 * A granter that cannot be asked may go on granting to a writer that it still reaches: without the guard's answer the
 * outcome stays unknown, unless `args.acceptRisk` says that people took that risk.
 */
export const fence: DriverVerb = {
  perform: (input, context, services) =>
    input.args['returning'] === true
      ? fenceReturning(input, context, services)
      : afterChange(() => fenceWriter(input, context, services)),
  confirm: (input, context, services) =>
    input.args['returning'] === true
      ? confirmReturning(input, context, services)
      : confirmWriter(input, context, services),
};

type Proof = { by: 'guard'; answer: CloseAnswer } | { by: 'lease' } | { by: 'accepted-risk' };

async function fenceWriter(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const graceful = input.plan.mode === 'graceful';
  const startedAt = performance.now();
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, context.signal]);
  // A dead site holds nobody up: the lease's end, when it comes first, ends the question to its guard.
  const limit = {
    timeoutMs: graceful ? waitMs(input) : Math.min(waitMs(input), 2 * input.plan.leaseMs + ASK_MS),
    signal,
  };
  const byGuard = closeAt(input, services, input.plan.from, limit).then((answer): Proof => ({ by: 'guard', answer }));
  const stopped = stopAll(input, services, signal);
  const byLease = stopped.then((granters) => leaseProof(input, granters, signal));
  for (const proof of [byGuard, byLease]) proof.catch(() => undefined); // each is awaited below, or not needed
  try {
    // Whoever asks for the last position waits for the guard; else the first proof is enough.
    const proof = await (graceful ? byGuard : Promise.any([byGuard, byLease]));
    const granters = proof.by === 'guard' ? await Promise.race([stopped, sleep(ASK_MS, [])]) : await stopped;
    return done(evidenceOf(proof, granters, performance.now() - startedAt));
  } catch (err) {
    const reasons = err instanceof AggregateError ? err.errors : [err];
    return { status: 'unknown', why: reasons.map((reason) => toMusterError(reason).message).join('; ') };
  } finally {
    over.abort();
    await Promise.allSettled([byGuard, byLease]);
  }
}

function evidenceOf(proof: Proof, granters: readonly StoppedGranter[], waitedMs: number): JsonObject {
  return {
    by: proof.by,
    guardState: proof.by === 'guard' ? proof.answer.state : null,
    finalLsn: proof.by === 'guard' ? proof.answer.finalLsn : null,
    granters: granters.map(({ site, remainingMs, why }) => ({ site, remainingMs, why })),
    waitedMs: Math.round(waitedMs),
  };
}

/** The same proofs from what everybody says of himself. In a planned run the closing is asked for again, for its position. */
async function confirmWriter(
  input: VerbInput,
  context: VerbContext,
  services: DriverServices,
): Promise<PerformOutcome> {
  const { plan } = input;
  const limit = { timeoutMs: plan.mode === 'graceful' ? ASK_MS : DEAD_SITE_MS, signal: context.signal };
  const [granters, guard] = await Promise.all([
    readStopped(input, services, context.signal),
    guardAt(input, services, plan.from, limit).catch((err: unknown) => toMusterError(err)),
  ]);
  const shut = !(guard instanceof MusterError) && isShut(guard.state);
  const silent = granters.filter((granter) => granter.remainingMs === null);
  if (plan.mode === 'graceful') {
    return {
      status: 'not-yet',
      why: shut ? 'closed, but its last position was not read' : 'the old writer is not closed',
    };
  }
  if (silent.length > 0 && input.args['acceptRisk'] !== true) {
    const why = silent.map(({ site, why: reason }) => `${site}: ${reason}`).join('; ');
    return silent.some(({ why: reason }) => reason === 'it still grants')
      ? { status: 'not-yet', why }
      : { status: 'unknown', why };
  }
  const running = granters.filter(({ remainingMs }) => (remainingMs ?? 0) > 0);
  if (!shut && running.length > 0)
    return {
      status: 'not-yet',
      why: `the lease runs for ${Math.max(...running.map((g) => g.remainingMs ?? 0))} ms more`,
    };
  if (!shut) await sleep(leaseMarginMs(plan.leaseMs), undefined, { signal: context.signal });
  const proof = { by: shut ? 'guard' : silent.length > 0 ? 'accepted-risk' : 'lease' };
  return done({
    ...proof,
    guardState: guard instanceof MusterError ? null : guard.state,
    finalLsn: null,
    granters: granters.map((g) => ({ ...g })),
  });
}

/** A former writer that comes back: closed and stopped by its own guard, and told who holds the service now. */
async function fenceReturning(
  input: VerbInput,
  context: VerbContext,
  services: DriverServices,
): Promise<PerformOutcome> {
  const { plan } = input;
  const agent = agentOf(input, services, plan.to);
  return afterChange(async () => {
    const answer = await closeAt(input, services, plan.to, { timeoutMs: waitMs(input), signal: context.signal });
    const epoch = { service: plan.service, epoch: plan.epoch, holder: plan.from };
    const told = await putEpoch(agent, epoch, { timeoutMs: ASK_MS, signal: context.signal }).then(
      () => true,
      () => false,
    );
    return done({ by: 'guard', guardState: answer.state, finalLsn: answer.finalLsn, told });
  });
}

async function confirmReturning(
  input: VerbInput,
  context: VerbContext,
  services: DriverServices,
): Promise<PerformOutcome> {
  try {
    const guard = await guardAt(input, services, input.plan.to, { timeoutMs: ASK_MS, signal: context.signal });
    if (isShut(guard.state)) return done({ by: 'guard', guardState: guard.state, finalLsn: null });
    return { status: 'not-yet', why: `the guard at ${input.plan.to} says ${guard.state}: ${guard.why}` };
  } catch (err) {
    return { status: 'unknown', why: toMusterError(err).message };
  }
}
