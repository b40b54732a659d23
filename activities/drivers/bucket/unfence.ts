import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { ASK_MS, nameHolder } from '../guarded/granters.ts';
import { afterChange, done, poll, waitMs, type DriverVerb } from '../guarded/verb.ts';
import { readSite, setSite } from './cluster.ts';
import { bucketSite } from './config.ts';

/**
 * Undo of a fence: the old site gets the service back under this plan's epoch, which is newer than everything that was
 * stopped. Safe because nobody else was ever named for this epoch: a promotion names its holder first, and the granters
 * refuse a second one.
 */
export const unfence: DriverVerb = {
  async perform(input, context, services) {
    const { plan, resource } = input;
    const named = await nameHolder(input, services, plan.from, context.signal);
    if (named.stale) {
      const why = Object.values(named.refused).join('; ');
      throw new MusterError('EPOCH_STALE', `epoch ${plan.epoch} was given to another: ${why}`);
    }
    return afterChange(async () => {
      const limit = { timeoutMs: waitMs(input), signal: context.signal };
      await setSite(bucketSite(resource, plan.from), { epoch: plan.epoch, fenced: false }, limit);
      const opened = await poll({ limitMs: waitMs(input), everyMs: 50, context }, async () => {
        const outcome = await readOpen(input, context, plan.from);
        return outcome.status === 'done' ? outcome : null;
      });
      return opened ?? readOpen(input, context, plan.from);
    });
  },
  confirm: (input, context) => readOpen(input, context, input.plan.from),
};

/** Done when the site is open under exactly this epoch, and a node that answers holds its lease. */
export async function readOpen(input: VerbInput, context: VerbContext, site: string): Promise<PerformOutcome> {
  const { plan, resource } = input;
  try {
    const view = await readSite(bucketSite(resource, site), { timeoutMs: ASK_MS, signal: context.signal });
    const { epoch, fenced, lease, confirmedSets, sets } = view;
    const where = `${resource.name} at ${site}`;
    if (epoch > plan.epoch) throw new MusterError('EPOCH_STALE', `${where} is at epoch ${epoch}`);
    if (fenced || epoch < plan.epoch || confirmedSets < sets) {
      return { status: 'not-yet', why: `${where} is ${fenced ? 'fenced' : 'open'} at epoch ${epoch}` };
    }
    if (lease.remainingMs <= 0 || lease.epoch !== epoch) {
      return { status: 'not-yet', why: `${where} is open at epoch ${epoch}, but holds no lease of it` };
    }
    return done({ siteEpoch: epoch, leaseRemainingMs: lease.remainingMs, sets });
  } catch (err) {
    const error = toMusterError(err);
    if (error.code === 'EPOCH_STALE' || error.code === 'CONFIG_INVALID') throw error;
    return { status: 'unknown', why: error.message };
  }
}
