import { ApplicationFailure, setHandler } from '@temporalio/workflow';
import { giveWaySignal } from './messages.ts';
import { runPlan } from './shell.ts';
import type { RunInput, RunView } from './io.ts';

/**
 * Proves that a failover would work. An isolated drill promotes a copy of the standby and touches nobody; a live one moves
 * the service and brings it back, as two plans one after the other. The way back is not begun unless the way there ended
 * well, nor when a real run needs the service.
 */
export async function drill(input: RunInput): Promise<RunView> {
  let view: RunView | null = null;
  let mustGiveWay = false;
  setHandler(giveWaySignal, () => void (mustGiveWay = true));
  for (const [index, plan] of input.plans.entries()) {
    view = await runPlan(input, plan, index === 0 ? input.runId : `${input.runId}.${index + 1}`);
    if (mustGiveWay || (view.outcome !== 'completed' && view.outcome !== 'protected')) return view;
  }
  if (view === null) throw ApplicationFailure.nonRetryable('a drill needs a plan', 'RUNBOOK_INVALID');
  return view;
}
