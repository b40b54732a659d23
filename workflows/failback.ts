import { theOnlyPlan } from './only-plan.ts';
import { runPlan } from './shell.ts';
import type { RunInput, RunView } from './io.ts';

/** Brings a service home: a planned move with a write stop, final sync and the roles swapped. Loses nothing or does not happen. */
export async function failback(input: RunInput): Promise<RunView> {
  return runPlan(input, theOnlyPlan(input, 'failback'), input.runId);
}
