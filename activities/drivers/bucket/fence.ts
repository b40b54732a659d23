import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { putEpoch } from '../../guard/client.ts';
import {
  agentOf,
  ASK_MS,
  leaseMarginMs,
  leaseProof,
  readStopped,
  stopAll,
  type StoppedGranter,
} from '../guarded/granters.ts';
import type { DriverServices } from '../guarded/services.ts';
import { afterChange, done, waitMs, type DriverVerb } from '../guarded/verb.ts';
import { readSite, setSite } from './cluster.ts';
import { bucketSite } from './config.ts';

/** For reading back: a site that is believed dead is asked all the same, for no longer than this. */
const deadSiteMs = 300;

/**
 * Takes the pen from the old site. Two proofs, either of which is enough in an unplanned run: a write quorum of its
 * drives has the fence under this run's epoch (`by: 'site-epoch'`), or every granter has stopped granting and the end of
 * its last grant has passed (`by: 'lease'`). A planned run needs the first.
 */
export const fence: DriverVerb = {
  perform: (input, context, services) =>
    afterChange(() =>
      input.args['returning'] === true ? fenceReturning(input, context, services) : fenceOld(input, context, services),
    ),
  confirm: (input, context, services) => confirm(input, context, services),
};

async function fenceOld(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const { plan, resource } = input;
  const graceful = plan.mode === 'graceful';
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, context.signal]);
  const startedAt = performance.now();
  const timeoutMs = graceful ? waitMs(input) : Math.min(waitMs(input), 2 * plan.leaseMs + ASK_MS);
  const state = { epoch: plan.epoch, fenced: true };
  const bySite = setSite(bucketSite(resource, plan.from), state, { timeoutMs, signal }).then(() => ({
    by: 'site-epoch' as const,
  }));
  const stopped = stopAll(input, services, signal);
  const byLease = stopped.then((granters) => leaseProof(input, granters, signal));
  for (const proof of [bySite, byLease]) proof.catch(() => undefined); // each is awaited below, or not needed
  try {
    const { by } = await (graceful ? bySite : Promise.any([bySite, byLease]));
    // Also where the drives have confirmed it: nobody shall be granted what is over.
    const granters = await Promise.race([stopped, sleep(ASK_MS, [], { ref: false })]);
    return done(evidenceOf(by, plan.epoch, granters, performance.now() - startedAt));
  } catch (err) {
    const reasons = err instanceof AggregateError ? err.errors : [err];
    return { status: 'unknown', why: reasons.map((reason) => toMusterError(reason).message).join('; ') };
  } finally {
    over.abort();
    await Promise.allSettled([bySite, byLease]);
  }
}

function evidenceOf(by: string, epoch: number, granters: readonly StoppedGranter[], waitedMs: number): JsonObject {
  return {
    ...{ by, siteEpoch: by === 'site-epoch' ? epoch : null, waitedMs: Math.round(waitedMs) },
    granters: granters.map(({ site, remainingMs, why }) => ({ site, remainingMs, why })),
  };
}

/** The same proofs from what everybody says of himself. */
async function confirm(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const { plan, resource } = input;
  const returning = input.args['returning'] === true;
  const site = returning ? plan.to : plan.from;
  const graceful = plan.mode === 'graceful' || returning;
  const limit = { timeoutMs: graceful ? ASK_MS : deadSiteMs, signal: context.signal };
  const view = await readSite(bucketSite(resource, site), limit).catch((err: unknown) => toMusterError(err));
  if (!(view instanceof MusterError)) {
    if (view.fenced && view.epoch >= plan.epoch && view.confirmedSets === view.sets) {
      return done(evidenceOf('site-epoch', view.epoch, [], 0));
    }
    if (graceful)
      return { status: 'not-yet', why: `${resource.name} at ${site} is at epoch ${view.epoch}, not fenced` };
  } else if (graceful) return { status: 'unknown', why: view.message };
  return confirmByLease(input, context, services);
}

async function confirmByLease(
  input: VerbInput,
  context: VerbContext,
  services: DriverServices,
): Promise<PerformOutcome> {
  const granters = await readStopped(input, services, context.signal);
  const silent = granters.filter(({ remainingMs }) => remainingMs === null);
  const accepted = input.args['acceptRisk'] === true;
  if (silent.length > 0 && !accepted) {
    const why = silent.map(({ site, why: reason }) => `${site}: ${reason}`).join('; ');
    return { status: silent.some(({ why: reason }) => reason === 'it still grants') ? 'not-yet' : 'unknown', why };
  }
  const leftMs = Math.max(0, ...granters.map(({ remainingMs }) => remainingMs ?? 0));
  if (leftMs > 0) return { status: 'not-yet', why: `the lease runs for ${leftMs} ms more` };
  await sleep(leaseMarginMs(input.plan.leaseMs), undefined, { signal: context.signal });
  return done(evidenceOf(silent.length > 0 ? 'accepted-risk' : 'lease', input.plan.epoch, granters, 0));
}

/** A site that comes back: fenced by its own drives, and its agent told who holds the service now. */
async function fenceReturning(
  input: VerbInput,
  context: VerbContext,
  services: DriverServices,
): Promise<PerformOutcome> {
  const { plan, resource } = input;
  const limit = { timeoutMs: waitMs(input), signal: context.signal };
  await setSite(bucketSite(resource, plan.to), { epoch: plan.epoch, fenced: true }, limit);
  const told = await putEpoch(
    agentOf(input, services, plan.to),
    { service: plan.service, epoch: plan.epoch, holder: plan.from },
    { timeoutMs: ASK_MS, signal: context.signal },
  ).then(
    () => true,
    () => false,
  );
  return done({ ...evidenceOf('site-epoch', plan.epoch, [], 0), told });
}
