import type { Plan, PlanStep } from '../workflows/engine/plan.ts';
import { durationText } from './durations.ts';
import { criticalPath, endsRto, expectedMs } from './graph.ts';
import { error, warning, type LintFinding, type PlanPath, type Rule } from './lint-path.ts';
import { movesWriter } from './steps.ts';

/** Rules about single steps and about time. */
export const changeRules: readonly Rule[] = [
  undoOrNoReturn,
  returningStaysClosed,
  sourceNotNeeded,
  fitsRto,
  estimateFitsBudget,
];

/** A driver that says how to take a change back must be obeyed; one that says it need not be must be repeatable. */
function undoOrNoReturn({ plan, steps, comesBefore, driverOf }: PlanPath): LintFinding[] {
  const noReturn = steps.filter((step) => step.effect === 'irreversible');
  const isCovered = (step: PlanStep): boolean => {
    const needsNoUndo = driverOf(step.resource)?.verbs[step.verb]?.undo === null && step.repeatable;
    if (step.undo !== null || needsNoUndo || step.always || closesReturning(plan, step)) return true;
    if (noReturn.some((last) => comesBefore(last, step))) return true;
    return steps.some((s) => s.always && s.resource === step.resource && comesBefore(step, s));
  };
  return steps
    .filter((step) => step.effect === 'change' && !isCovered(step))
    .map((step) =>
      error(
        'undo-or-no-return',
        step.id,
        'changes the world, has no undo and stands before the point of no return',
        'put it after the promotion, or use a driver that can take it back',
      ),
    );
}

function closesReturning(plan: Plan, step: PlanStep): boolean {
  return plan.kind === 'reprotect' && step.verb === 'fence';
}

/** Taking the fence of a returning writer back would make it the second one. */
function returningStaysClosed({ plan, steps }: PlanPath): LintFinding[] {
  return steps
    .filter((step) => closesReturning(plan, step) && step.undo !== null)
    .map((step) =>
      error(
        'returning-stays-closed',
        step.id,
        'would open the returning writer again when undone',
        'compile the plan again',
      ),
    );
}

/** Nothing on the unplanned path may wait for the site that is lost. After the commit the service is up: no harm then. */
function sourceNotNeeded({ plan, mode, steps, comesBefore }: PlanPath): LintFinding[] {
  if (mode !== 'ungraceful' || !movesWriter(plan.kind)) return [];
  const commit = steps.find((step) => step.clock === 'committed' || step.clock === 'failed-back');
  return steps
    .filter((step) => step.needs.includes('source') || step.site === plan.from)
    .filter((step) => commit === undefined || !comesBefore(commit, step))
    .map((step) => {
      const why = step.site === plan.from ? `runs at ${plan.from}` : `needs ${plan.from}`;
      return error('source-not-needed', step.id, `${why}, which is lost on this path`, 'add "ungraceful: false" to it');
    });
}

function fitsRto({ plan, mode, steps }: PlanPath): LintFinding[] {
  if (!movesWriter(plan.kind)) return [];
  const path = criticalPath(steps, (step) => expectedMs(plan, step, mode), endsRto(steps));
  const { rtoSeconds } = plan.objectives;
  if (path.totalMs <= rtoSeconds * 1000) return [];
  const message = `the critical path takes ${durationText(path.totalMs)} (${path.ids.join(' -> ')}), the RTO is ${rtoSeconds} s`;
  return [
    error(
      'fits-rto',
      path.ids.at(-1) ?? null,
      message,
      'run steps side by side, shorten the lease, or raise rtoSeconds',
    ),
  ];
}

function estimateFitsBudget({ plan, mode, steps }: PlanPath): LintFinding[] {
  return steps
    .filter((step) => step.withinMs < expectedMs(plan, step, mode))
    .map((step) => {
      const expected = expectedMs(plan, step, mode);
      const message = `is expected to take ${durationText(expected)} but may take only ${durationText(step.withinMs)}`;
      return warning('estimate-fits-budget', step.id, message, `give it within: ${Math.ceil(expected / 500)}s`);
    });
}
