import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { nameHolder, requireGranter } from '../guarded/granters.ts';
import type { DriverServices } from '../guarded/services.ts';
import { afterChange, done, measure, poll, waitMs, type DriverVerb } from '../guarded/verb.ts';
import { setSite } from './cluster.ts';
import { bucketSite } from './config.ts';
import { readOpen } from './unfence.ts';

/**
 * Opens the site's cluster for clients under the plan's epoch, has the granters name this site, and lets the guard hand
 * its lease to the nodes. Throws LEASE_REFUSED, AGENT_UNREACHABLE or EPOCH_STALE before anything is changed when no
 * granter could give the lease.
 */
export const promote: DriverVerb = {
  perform,
  confirm: (input, context) => readOpen(input, context, input.plan.to),
};

async function perform(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const startedAt = performance.now();
  const { plan, resource } = input;
  await requireGranter(input, services, context.signal);
  return afterChange(async () => {
    const limit = { timeoutMs: waitMs(input), signal: context.signal };
    await setSite(bucketSite(resource, plan.to), { epoch: plan.epoch, fenced: false }, limit);
    const named = await nameHolder(input, services, plan.to, context.signal);
    if (!named.taken.some((site) => site !== plan.to)) {
      const why = `no granter took epoch ${plan.epoch}: ${Object.values(named.refused).join('; ')}`;
      throw new MusterError(named.stale ? 'EPOCH_STALE' : 'LEASE_REFUSED', why);
    }
    await services.guardFor(plan.service, resource.name)?.openNow(plan.epoch, waitMs(input));
    // The node that is asked may be another than the first to hold the lease.
    const opened = await poll({ limitMs: waitMs(input), everyMs: 20, context }, async () => {
      const outcome = await readOpen(input, context, plan.to).catch(passOnlyStale);
      return outcome.status === 'done' ? outcome : null;
    });
    const outcome = opened ?? (await readOpen(input, context, plan.to));
    if (outcome.status !== 'done') return outcome;
    const seconds = (performance.now() - startedAt) / 1000;
    const evidence = { ...outcome.evidence, namedBy: [...named.taken], seconds };
    return done(evidence, [measure(input, 'promoteSeconds', 's', { value: seconds, method: 'clock' })]);
  });
}

function passOnlyStale(err: unknown): PerformOutcome {
  if (toMusterError(err).code === 'EPOCH_STALE') throw err;
  return { status: 'unknown', why: toMusterError(err).message };
}
