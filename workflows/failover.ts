import { theOnlyPlan } from './only-plan.ts';
import { runPlan } from './shell.ts';
import type { RunInput, RunView } from './io.ts';

/**
 * Moves a service to its standby site: check, quiesce, fence, freeze the RPO, promote, route, verify, commit. Undone if it
 * stops before the promotion, forward-only after. Ends `unprotected` until a reprotect has turned the replication round;
 * a planned one turns it round itself and ends `protected`.
 */
export async function failover(input: RunInput): Promise<RunView> {
  return runPlan(input, theOnlyPlan(input, 'failover'), input.runId);
}
