import { theOnlyPlan } from './only-plan.ts';
import { runPlan } from './shell.ts';
import { schedulesOfFailover } from './settle-schedules.ts';
import type { RunInput, RunView } from './io.ts';

/**
 * Moves a service to its standby site: check, quiesce, fence, freeze the RPO, promote, route, verify, commit. Undone if it
 * stops before the promotion, forward-only after. Ends `unprotected` until a reprotect has turned the replication round;
 * a planned one turns it round itself and ends `protected`.
 */
export async function failover(input: RunInput): Promise<RunView> {
  const plan = theOnlyPlan(input, 'failover');
  const schedules = schedulesOfFailover(input.runId, plan);
  schedules.pause();
  const view = await runPlan(input, plan, input.runId);
  await schedules.settle(view);
  return view;
}
