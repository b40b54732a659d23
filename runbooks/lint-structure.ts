import type { DriverCatalogue } from '../workflows/engine/catalogue.ts';
import type { Effect, Plan, PlanStep } from '../workflows/engine/plan.ts';
import { edgesOf, findCycle } from './graph.ts';
import { error, type LintFinding } from './lint-path.ts';
import { chooseAmong } from './nearest.ts';
import { own } from './problems.ts';

/** What must hold before order can be judged: unique ids, known steps, no cycle, verbs that the drivers have. */
export function structureFindings(plan: Plan, catalogue: DriverCatalogue): LintFinding[] {
  return [
    ...idFindings(plan),
    ...afterFindings(plan),
    ...plan.steps.flatMap((step) => verbFindings(plan, step, catalogue)),
  ];
}

function idFindings({ steps }: Plan): LintFinding[] {
  if (steps.length === 0) return [error('not-empty', null, 'the plan has no steps', 'name what is to be done')];
  const ids = steps.map((step) => step.id);
  const twice = new Set(ids.filter((id, index) => ids.indexOf(id) !== index));
  return [...twice].map((id) => error('id-unique', id, 'two steps have this id', 'give each step an id of its own'));
}

function afterFindings({ steps }: Plan): LintFinding[] {
  const ids = steps.map((step) => step.id);
  const unknown = steps.flatMap((step) =>
    step.after
      .filter((id) => !ids.includes(id))
      .map((id) =>
        error('after-known', step.id, `comes after "${id}", which is no step`, chooseAmong(id, ids, 'name a step')),
      ),
  );
  const cycle = findCycle(edgesOf(steps));
  if (cycle === null) return unknown;
  const walk = cycle.join(' -> ');
  const found = error(
    'after-acyclic',
    cycle[0] ?? null,
    `these steps wait for each other: ${walk}`,
    'remove one of the "after"',
  );
  return [...unknown, found];
}

const effectOrder: readonly Effect[] = ['read', 'change', 'irreversible'];

function verbFindings(plan: Plan, step: PlanStep, catalogue: DriverCatalogue): LintFinding[] {
  if (step.verb === 'approve' || step.verb === 'wait' || step.verb === 'notify') return [];
  const resource = plan.resources.find((r) => r.name === step.resource);
  const driver = resource === undefined ? undefined : own(catalogue, resource.driver);
  if (driver === undefined)
    return [error('verb-known', step.id, `no driver for resource "${step.resource}"`, 'name a resource of the plan')];
  const said = driver.verbs[step.verb];
  if (said === undefined) {
    const known = Object.keys(driver.verbs).join(', ');
    return [error('verb-known', step.id, `driver ${driver.kind} cannot ${step.verb}`, `it can: ${known}`)];
  }
  const findings: LintFinding[] = [];
  if (effectOrder.indexOf(step.effect) < effectOrder.indexOf(said.effect))
    findings.push(
      error(
        'effect-honest',
        step.id,
        `says effect ${step.effect}, its driver says ${said.effect}`,
        'compile the plan again',
      ),
    );
  if (step.undo !== null && driver.verbs[step.undo.verb] === undefined)
    findings.push(
      error('undo-known', step.id, `driver ${driver.kind} cannot ${step.undo.verb}, its undo`, 'correct the driver'),
    );
  return findings;
}
