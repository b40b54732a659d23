import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { done, waitMs, type DriverVerb } from '../guarded/verb.ts';
import { objectCall } from './cluster.ts';
import { bucketSite, type BucketSite } from './config.ts';

const callMs = 2_000;
const pollMs = 50;

/**
 * Writes, reads back and removes an object below `.muster/`, as a client would. Throws VERIFY_FAILED when that has not
 * come true in time.
 */
export const verify: DriverVerb = { perform };

async function perform(input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const { plan, resource } = input;
  const site = bucketSite(resource, plan.to);
  const startedAt = performance.now();
  for (let tries = 1; ; tries++) {
    const failure = await roundTrip(site, input, context).catch((err: unknown) => toMusterError(err).message);
    const ms = Math.round(performance.now() - startedAt);
    if (failure === null) return done({ wroteAndRead: true, tries, ms });
    if (ms > waitMs(input)) {
      throw new MusterError('VERIFY_FAILED', `${resource.name} at ${plan.to}: ${failure}`);
    }
    context.heartbeat(failure);
    await sleep(pollMs, undefined, { signal: context.signal });
  }
}

async function roundTrip(site: BucketSite, { runId, token }: VerbInput, context: VerbContext): Promise<string | null> {
  const key = `.muster/verify/${runId}`;
  const limit = { timeoutMs: callMs, signal: context.signal };
  const put = await objectCall(site, { method: 'PUT', key, body: Buffer.from(token) }, limit);
  if (put.status !== 200) return `the write was answered with ${put.status} ${put.text.slice(0, 200)}`;
  const got = await objectCall(site, { method: 'GET', key }, limit);
  if (got.status !== 200 || got.text !== token) return `what was written was not read back (status ${got.status})`;
  const removed = await objectCall(site, { method: 'DELETE', key }, limit);
  return removed.status === 204 ? null : `the removal was answered with ${removed.status}`;
}
