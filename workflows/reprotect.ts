import { theOnlyPlan } from './only-plan.ts';
import { runPlan } from './shell.ts';
import type { RunInput, RunView } from './io.ts';

/**
 * Makes a returned site the standby: keeps what only it has, rejoins it, and ends `protected` once replication runs from
 * the new writer with its lag inside the objective.
 */
export async function reprotect(input: RunInput): Promise<RunView> {
  return runPlan(input, theOnlyPlan(input, 'reprotect'), input.runId);
}
