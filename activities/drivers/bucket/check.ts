import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { done, type DriverVerb } from '../guarded/verb.ts';
import { bucketThere, readSite, type SiteView } from './cluster.ts';
import type { DriverServices } from '../guarded/services.ts';
import { bucketSite, isReplicated } from './config.ts';
import { lossIfNow } from './replication/lag.ts';

const aliveMs = 1_000;
/** An unplanned move asks the old site too, in case it lives, but never waits for it. */
const courtesyMs = 200;

/**
 * Before anything is changed: the cluster at the site to move to answers, has the bucket and is at no newer epoch; in a
 * planned run the old one answers too. Of a replicated bucket it estimates the loss if the move were made now. Throws TARGET_DEAD, STORAGE_UNREACHABLE, EPOCH_STALE or CONFIG_INVALID.
 */
export const check: DriverVerb = { perform };

async function perform(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const { plan, resource } = input;
  const ungraceful = plan.mode === 'ungraceful';
  const seenDown = ungraceful && input.clocks.detected !== undefined;
  const limit = { timeoutMs: aliveMs, signal: context.signal };
  const target = bucketSite(resource, plan.to);
  const [view, isThere, source] = await Promise.all([
    readSite(target, limit).catch((err: unknown) => toMusterError(err)),
    bucketThere(target, limit).catch((err: unknown) => toMusterError(err)),
    seenDown ? null : askSource(input, { ...limit, timeoutMs: ungraceful ? courtesyMs : aliveMs }),
  ]);
  const failed = [view, isThere].find((one) => one instanceof MusterError);
  if (failed?.code === 'STORAGE_UNREACHABLE')
    throw new MusterError('TARGET_DEAD', `${resource.name}: ${failed.message}`);
  if (failed !== undefined) throw failed;
  if (isThere === false) {
    const message = `${resource.name}: there is no bucket ${target.bucket} at ${plan.to}`;
    throw new MusterError('CONFIG_INVALID', message);
  }
  const newest = Math.max((view as SiteView).epoch, source instanceof MusterError ? 0 : (source?.epoch ?? 0));
  if (newest > plan.epoch) {
    throw new MusterError('EPOCH_STALE', `${resource.name} is at site epoch ${newest}; this plan has ${plan.epoch}`);
  }
  if (source instanceof MusterError && !ungraceful && plan.kind !== 'drill') throw source;
  const moves = plan.kind === 'failover' || plan.kind === 'failback';
  const figures = moves && isReplicated(resource) ? [await lossIfNow(input, services)] : [];
  return done({ target: { ...(view as SiteView) }, source: source instanceof MusterError ? null : source }, figures);
}

function askSource(
  { plan, resource }: VerbInput,
  limit: { timeoutMs: number; signal: AbortSignal },
): Promise<SiteView | MusterError> {
  return readSite(bucketSite(resource, plan.from), limit).catch((err: unknown) => toMusterError(err));
}
