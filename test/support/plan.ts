import type { Plan, PlanStep, RunKind } from '../../workflows/engine/plan.ts';

/** A step with everything a table row does not care about. */
export function step(id: string, more: Partial<PlanStep> = {}): PlanStep {
  const [verb = 'check', resource = 'orders'] = id.split('-');
  return {
    id,
    verb: verb as PlanStep['verb'],
    resource,
    site: null,
    after: [],
    modes: ['graceful', 'ungraceful'],
    effect: 'read',
    needs: ['nothing'],
    withinMs: 10_000,
    attemptMs: 5_000,
    estimateMs: 100,
    onFailure: 'pause',
    critical: true,
    repeatable: true,
    undo: null,
    clock: null,
    judge: null,
    gate: null,
    always: false,
    args: {},
    ...more,
  };
}

export function planOf(steps: PlanStep[], more: Partial<Plan> = {}): Plan {
  return {
    version: 1,
    kind: 'failover' as RunKind,
    service: 'shop',
    from: 'hangzhou',
    to: 'beijing',
    mode: 'ungraceful',
    epoch: 2,
    drill: false,
    leaseMs: 2_000,
    objectives: { rpoSeconds: 5, rtoSeconds: 30 },
    level: null,
    sites: {},
    resources: [
      { name: 'orders', driver: 'fake', sites: {}, shared: {} },
      { name: 'entry', driver: 'fake', sites: {}, shared: {} },
    ],
    steps,
    hash: 'test',
    ...more,
  };
}

/** Steps one after the other. */
export function inOrder(steps: PlanStep[]): PlanStep[] {
  return steps.map((s, i) => ({ ...s, after: i === 0 ? [] : [steps[i - 1]?.id ?? ''] }));
}
