import { toMusterError } from '../../../workflows/engine/errors.ts';
import type { Json } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { done, type DriverVerb } from '../guarded/verb.ts';
import { readSite } from './cluster.ts';
import { bucketSite, isReplicated } from './config.ts';
import { freeze } from './replication/freeze.ts';
import { lagOfNow } from './replication/lag.ts';

const askMs = 500;

/**
 * Of a replicated bucket how far the other site is: `{freeze: true}` after the fence and for good, without it the lag of
 * now. Of one that is not, who may write at either site, as the clusters say: what the old site has stays there, and no
 * figure of loss is claimed for it.
 */
export const observe: DriverVerb = {
  async perform(input, context, services) {
    if (!isReplicated(input.resource)) return perform(input, context);
    return input.args['freeze'] === true ? freeze(input, context, services) : lagOfNow(input, services);
  },
};

async function perform(input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const { plan } = input;
  const [from, to] = await Promise.all([plan.from, plan.to].map((site) => viewOf(input, context, site)));
  return done({ from: from ?? null, to: to ?? null, replication: 'none', leftAt: plan.from });
}

async function viewOf({ resource }: VerbInput, { signal }: VerbContext, site: string): Promise<Json> {
  try {
    return { ...(await readSite(bucketSite(resource, site), { timeoutMs: askMs, signal })) };
  } catch (err) {
    return { unknown: toMusterError(err).message };
  }
}
