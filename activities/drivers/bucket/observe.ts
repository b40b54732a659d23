import { toMusterError } from '../../../workflows/engine/errors.ts';
import type { Json } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { done, type DriverVerb } from '../guarded/verb.ts';
import { readSite } from './cluster.ts';
import { bucketSite } from './config.ts';

const askMs = 500;

/**
 * Who may write at either site, as the clusters say. Objects are not replicated: what the old site has stays there, and
 * no figure of loss is claimed for it.
 */
export const observe: DriverVerb = { perform };

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
