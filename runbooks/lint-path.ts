import type { DriverCatalogue, DriverDescription } from '../workflows/engine/catalogue.ts';
import type { Mode, Plan, PlanResource, PlanStep, Verb } from '../workflows/engine/plan.ts';
import { ancestorsOf, edgesOf } from './graph.ts';
import { own } from './problems.ts';

export interface LintFinding {
  rule: string;
  /** The step to look at; null when the whole plan is meant. */
  stepId: string | null;
  message: string;
  /** What to change, as an imperative. */
  fix: string;
  severity: 'error' | 'warning';
}

/** The plan as one mode sees it: only the steps of that mode, and only the order that they give by themselves. */
export interface PlanPath {
  plan: Plan;
  mode: Mode;
  steps: PlanStep[];
  /** Whether the first step is surely over when the second starts. */
  comesBefore: (first: PlanStep, second: PlanStep) => boolean;
  ofVerb: (verb: Verb, resource?: string) => PlanStep[];
  /** Resources with one writer at a time. */
  stateful: PlanResource[];
  driverOf: (resource: string) => DriverDescription | undefined;
}

export type Rule = (path: PlanPath) => LintFinding[];

/** The plan must have passed the structure rules. */
export function pathOf(plan: Plan, catalogue: DriverCatalogue, mode: Mode): PlanPath {
  const steps = plan.steps.filter((step) => step.modes.includes(mode));
  const ancestors = ancestorsOf(edgesOf(steps));
  const driverOf = (resource: string): DriverDescription | undefined => {
    const found = plan.resources.find((r) => r.name === resource);
    return found === undefined ? undefined : own(catalogue, found.driver);
  };
  return {
    plan,
    mode,
    steps,
    comesBefore: (first, second) => ancestors.get(second.id)?.has(first.id) ?? false,
    ofVerb: (verb, resource) =>
      steps.filter((step) => step.verb === verb && (resource === undefined || step.resource === resource)),
    stateful: plan.resources.filter((r) => driverOf(r.name)?.stateful ?? false),
    driverOf,
  };
}

export function error(rule: string, stepId: string | null, message: string, fix: string): LintFinding {
  return { rule, stepId, message, fix, severity: 'error' };
}

export function warning(rule: string, stepId: string | null, message: string, fix: string): LintFinding {
  return { rule, stepId, message, fix, severity: 'warning' };
}
