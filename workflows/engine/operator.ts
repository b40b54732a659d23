import type { PlanStep } from './plan.ts';
import type { OperatorCommand, Run } from './run.ts';
import { goUngraceful, reopenStep, skipStep } from './steps.ts';
import { pauseRun, record, stateOf, stepOf, type Turn } from './turn.ts';
import { beginUndo } from './undo.ts';

/** What a person asks of a run. `stepId` names a step for skip and retry; without it the failed ones are meant. */
export interface Order {
  op: OperatorCommand;
  stepId?: string | undefined;
  by: string;
  why: string;
}

/**
 * Why an order must be refused now, or null when it may be given. Pure, so that update validators, the command line and
 * the simulator ask the same question and get the same answer.
 */
export function refuseOrder(run: Run, order: Order): string | null {
  if (order.by.trim() === '') return 'say who you are (--by)';
  if (order.why.trim() === '') return 'say why (--why)';
  if (run.status === 'finished') return `the run has ended (${run.outcome ?? 'no outcome'})`;
  if (order.stepId !== undefined && stepOf(run, order.stepId) === undefined)
    return `no step ${order.stepId} in this run`;
  switch (order.op) {
    case 'pause':
      return run.status === 'running' ? null : `the run is ${run.status}`;
    case 'resume':
      return run.status === 'paused' ? null : `the run is ${run.status}`;
    case 'abort':
      if (run.status === 'undoing') return 'the run is being undone already';
      return run.pastNoReturn ? 'the run is past its point of no return: it can only go forward' : null;
    case 'go-ungraceful':
      return run.mode === 'graceful' ? null : 'the run is ungraceful already';
    case 'retry':
      return run.status === 'undoing' ? 'the run is being undone' : refuseForSteps(run, order, 'retry');
    case 'skip':
      return run.status === 'undoing' ? 'the run is being undone' : refuseForSteps(run, order, 'skip');
  }
}

function refuseForSteps(run: Run, order: Order, op: 'retry' | 'skip'): string | null {
  const steps = targets(run, order, op);
  if (steps.length === 0)
    return order.stepId === undefined
      ? 'no step has failed'
      : `step ${order.stepId} cannot be ${op === 'skip' ? 'skipped' : 'retried'} now`;
  if (op !== 'skip') return null;
  const unsafe = steps.find(keepsOneWriter);
  if (unsafe !== undefined) return `step ${unsafe.id} keeps two writers apart and is never skipped`;
  const judged = steps.find((step) => step.judge !== null);
  return judged === undefined ? null : `step ${judged.id} says what is lost: accept the loss by name instead (approve)`;
}

/** Skipping these could leave two writers, or route clients to a database that nobody promoted. */
function keepsOneWriter(step: PlanStep): boolean {
  return step.verb === 'fence' || step.verb === 'promote';
}

function targets(run: Run, order: Order, op: 'retry' | 'skip'): PlanStep[] {
  const able = op === 'retry' ? ['failed'] : ['failed', 'pending', 'asking', 'retrying', 'confirming'];
  return run.plan.steps.filter((step) => {
    const status = run.steps[step.id]?.status ?? 'pending';
    return order.stepId === undefined ? status === 'failed' : step.id === order.stepId && able.includes(status);
  });
}

/** Carries out an order that `refuseOrder` has let pass; one that came too late is recorded and changes nothing. */
export function applyOrder(turn: Turn, order: Order): void {
  const refusal = refuseOrder(turn.run, order);
  const { op, by, why } = order;
  record(turn, refusal === null ? 'operator' : 'operator-refused', order.stepId ?? null, { op, by, why, refusal });
  if (refusal !== null) return;
  switch (op) {
    case 'pause':
      pauseRun(turn, `by ${by}: ${why}`);
      return;
    case 'resume':
      reopen(turn, { op: 'retry', by, why });
      return;
    case 'retry':
      reopen(turn, order);
      return;
    case 'skip':
      for (const step of targets(turn.run, order, 'skip')) skipStep(turn, step, `by ${by}: ${why}`);
      resumeIfClear(turn);
      return;
    case 'go-ungraceful':
      goUngraceful(turn, `by ${by}: ${why}`);
      return;
    case 'abort':
      beginUndo(turn, 'aborted', `by ${by}: ${why}`);
  }
}

function reopen(turn: Turn, order: Order): void {
  for (const step of targets(turn.run, order, 'retry')) reopenStep(turn, step);
  turn.run.status = 'running';
  turn.run.reason = null;
}

function resumeIfClear(turn: Turn): void {
  const blocked = turn.run.plan.steps.some((step) => step.critical && stateOf(turn, step.id).status === 'failed');
  if (turn.run.status !== 'paused' || blocked) return;
  turn.run.status = 'running';
  turn.run.reason = null;
}
