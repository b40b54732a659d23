import { ApplicationFailure } from '@temporalio/workflow';
import type { Plan, RunKind } from './engine/plan.ts';
import type { RunInput } from './io.ts';

/** The plan of a run that has exactly one. */
export function theOnlyPlan(input: RunInput, kind: RunKind): Plan {
  const [plan, ...more] = input.plans;
  if (plan === undefined || more.length > 0)
    throw ApplicationFailure.nonRetryable(`a ${kind} takes one plan`, 'RUNBOOK_INVALID');
  if (plan.kind !== kind)
    throw ApplicationFailure.nonRetryable(`the plan is for a ${plan.kind}, not a ${kind}`, 'RUNBOOK_INVALID');
  return plan;
}
