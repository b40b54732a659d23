/** Plans made unsafe, step by step, to be found out by the lint. */
import type { Plan, PlanStep } from '../../workflows/engine/plan.ts';

/** What happens to the steps of a plan. */
export type Edit = (steps: PlanStep[]) => PlanStep[];

/** Takes steps out; what came after them comes after what they came after, so that only the step itself is missing. */
export const without =
  (drop: (step: PlanStep) => boolean): Edit =>
  (steps) => {
    const gone = new Map(steps.filter(drop).map((step) => [step.id, step.after]));
    const bridge = (id: string): string[] => gone.get(id)?.flatMap(bridge) ?? [id];
    return steps.filter((s) => !gone.has(s.id)).map((s) => ({ ...s, after: [...new Set(s.after.flatMap(bridge))] }));
  };

export const change =
  (pick: (step: PlanStep) => boolean, edit: (step: PlanStep) => Partial<PlanStep>): Edit =>
  (steps) =>
    steps.map((step) => (pick(step) ? { ...step, ...edit(step) } : step));

export const is = (id: string) => (step: PlanStep) => step.id === id;

/** Lets a step start as early as another one does. */
export const earlyAs =
  (id: string, other: string): Edit =>
  (steps) =>
    change(is(id), () => ({ after: steps.find(is(other))?.after ?? [] }))(steps);

export const edited = (plan: Plan, edit: Edit): Plan => ({ ...plan, steps: edit(structuredClone(plan.steps)) });
