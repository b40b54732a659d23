import { createBucketDriver } from '../../../activities/drivers/bucket/driver.ts';
import type { PerformOutcome, VerbInput } from '../../../activities/driver.ts';
import type { ClockName, JsonObject, Mode, RunKind, Verb } from '../../../workflows/engine/plan.ts';
import type { Bucket, SiteName } from './bucket-pair.ts';

export interface RunOfVerbs {
  kind: RunKind;
  mode?: Mode;
  from: SiteName;
  epoch: number;
  clocks?: Partial<Record<ClockName, number>>;
}

/** Performs the driver's verbs about a bucket as a run at the control plane would. */
export function verbsOf(
  { resource, home }: Pick<Bucket, 'resource' | 'home'>,
  { kind, mode = 'graceful', from, epoch, clocks = {} }: RunOfVerbs,
): (verb: Verb, args?: JsonObject, timeoutMs?: number) => Promise<PerformOutcome> {
  const driver = createBucketDriver({ home: () => home, nowMs: () => Date.now() });
  const plan: VerbInput['plan'] = {
    ...{ version: 1, kind, service: 'shop', from, to: from === 'hangzhou' ? 'beijing' : 'hangzhou', mode },
    ...{ epoch, drill: false, leaseMs: 1_000, objectives: { rpoSeconds: 3, rtoSeconds: 30 }, level: null, hash: '' },
    ...{ sites: {}, resources: [resource] },
  };
  return async (verb, args = {}, timeoutMs = 10_000) => {
    const input: VerbInput = {
      ...{ runId: `run-${epoch}`, stepId: `${verb}-receipts`, verb, resource, plan, clocks, args, evidence: {} },
      ...{ token: `token-${epoch}-${verb}`, attempt: 1, timeoutMs },
    };
    const signal = AbortSignal.timeout(2 * timeoutMs);
    return driver.verbs[verb]!.perform(input, { signal, heartbeat: () => {}, log: () => {} });
  };
}
