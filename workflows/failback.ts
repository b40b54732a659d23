import { theOnlyPlan } from './only-plan.ts';
import { runPlan } from './shell.ts';
import { schedulesOfFailback } from './settle-schedules.ts';
import type { RunInput, RunView } from './io.ts';

/** Brings a service home: a planned move with a write stop, final sync and the roles swapped. Loses nothing or does not happen. */
export async function failback(input: RunInput): Promise<RunView> {
  const plan = theOnlyPlan(input, 'failback');
  const view = await runPlan(input, plan, input.runId);
  await schedulesOfFailback(input.runId, plan).settle(view);
  return view;
}
