import { toMusterError, MusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { ASK_MS, guardAt, nameHolder } from '../guarded/granters.ts';
import type { DriverServices } from '../guarded/services.ts';
import { afterChange, done, poll, waitMs, type DriverVerb } from '../guarded/verb.ts';

/**
 * Undo of a fence: the old writer gets the service back under this plan's epoch, which is newer than everything that was
 * stopped. Its guard learns that from the granters, starts the database and opens it. Safe because nobody else was ever
 * named for this epoch: a promotion names its holder first, and the granters refuse a second one.
 */
export const unfence: DriverVerb = {
  async perform(input, context, services) {
    const named = await nameHolder(input, services, input.plan.from, context.signal);
    if (named.stale)
      throw new MusterError(
        'EPOCH_STALE',
        `epoch ${input.plan.epoch} was given to another: ${Object.values(named.refused).join('; ')}`,
      );
    return afterChange(async () => {
      const opened = await poll({ limitMs: waitMs(input), everyMs: 50, context }, async () => {
        const outcome = await readOpen(input, context, services);
        return outcome.status === 'done' ? outcome : null;
      });
      return opened ?? readOpen(input, context, services);
    });
  },
  confirm: readOpen,
};

async function readOpen(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const { epoch, from } = input.plan;
  try {
    const guard = await guardAt(input, services, from, { timeoutMs: ASK_MS, signal: context.signal });
    if (guard.state === 'open' && guard.epoch === epoch && guard.leaseRemainingMs > 0)
      return done({ guardState: guard.state, epoch });
    return { status: 'not-yet', why: `the guard at ${from} says ${guard.state} (epoch ${guard.epoch}): ${guard.why}` };
  } catch (err) {
    return { status: 'unknown', why: toMusterError(err).message };
  }
}
