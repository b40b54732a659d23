import { setTimeout as sleep } from 'node:timers/promises';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { readEntry } from './admin-client.ts';
import { missingMode, performOrder, type Order } from './order.ts';

/** How long a graceful run lets the requests under way end before it goes on, milliseconds. */
const drainMs = 1000;
const pollMs = 10;

/**
 * New requests wait at the entry. Those under way go on in a planned run; in an unplanned one they are broken off, since
 * the site they went to is given up: their clients hear at once that the outcome is unknown, and wait with the others.
 */
export const hold: Order = {
  path: '/admin/mode',
  body: ({ plan }) => ({
    mode: 'hold',
    epoch: plan.epoch,
    ...(plan.mode === 'ungraceful' && { breakOff: plan.from }),
  }),
  missing: (view, input) => missingMode(view, 'hold', input),
};

/** Holds the entry. A graceful run then waits shortly for what is under way at the old site, so that nobody's write is cut off. */
export async function quiesce(input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const outcome = await performOrder(hold, input, context);
  if (outcome.status !== 'done' || input.plan.mode !== 'graceful') return outcome;
  const { from } = input.plan;
  const untilMs = performance.now() + Math.min(drainMs, input.timeoutMs / 2);
  for (;;) {
    const view = await readEntry(input, context);
    const inFlight = view.inFlight[from] ?? 0;
    if (inFlight === 0 || performance.now() > untilMs) {
      return { ...outcome, evidence: { ...outcome.evidence, drained: inFlight === 0, inFlight: view.inFlight } };
    }
    await sleep(pollMs, undefined, { signal: context.signal });
  }
}
