import type { Mode, PlanStep } from '../workflows/engine/plan.ts';
import { leavesOf } from './graph.ts';
import type { Runbook, RunbookItem, RunbookStep, StepSettings } from './runbook.ts';
import {
  attemptBudgetMs,
  bareStep,
  isStateful,
  makeGate,
  makeStep,
  movesWriter,
  type PlanContext,
  type Purpose,
} from './steps.ts';

export interface CompiledRunbook {
  steps: PlanStep[];
  /** Line of the runbook that each step comes from, by step id. */
  lines: Map<string, number>;
}

/** The steps that a runbook orders, in its own order, with what the drivers say about each. */
export function stepsFromRunbook(context: PlanContext, runbook: Runbook): CompiledRunbook {
  const steps: PlanStep[] = [];
  const lines = new Map<string, number>();
  const idsOf = new Map<string, string[]>();
  for (const group of runbook.groups) {
    const before = leavesOf(steps);
    for (const item of group) {
      const after = item.after?.flatMap((id) => idsOf.get(id) ?? []) ?? before;
      const made = makeItem(context, item, after, steps);
      for (const step of made) lines.set(step.id, item.line);
      idsOf.set(
        item.id,
        made.map((step) => step.id),
      );
      steps.push(...made);
    }
  }
  return { steps, lines };
}

function makeItem(context: PlanContext, item: RunbookItem, after: string[], above: readonly PlanStep[]): PlanStep[] {
  const { id, modes } = item;
  switch (item.type) {
    case 'step':
      return makeVariants(context, item, after, above);
    case 'gate': {
      const { question, approvals, approvers } = item;
      return [{ ...makeGate(context, { id, question, approvals, approvers, after }), modes: [...modes] }];
    }
    case 'wait': {
      const times = { withinMs: item.forMs, attemptMs: item.forMs, estimateMs: item.forMs };
      const args = { seconds: item.forMs / 1000 };
      return [{ ...bareStep(id, 'wait', after), ...times, modes: [...modes], args }];
    }
    case 'notify':
      return [{ ...bareStep(id, 'notify', after), modes: [...modes], args: { text: item.text } }];
  }
}

/** One step, or two when it is done otherwise in one of the modes: each mode then has a step of its own. */
function makeVariants(
  context: PlanContext,
  item: RunbookStep,
  after: string[],
  above: readonly PlanStep[],
): PlanStep[] {
  const plain = makePlain(context, item, after, above);
  const modes = plain.modes.filter((mode) => item.modes.includes(mode));
  const withVariant = modes.filter((mode) => item.variants[mode] !== undefined);
  const rest = modes.filter((mode) => !withVariant.includes(mode));
  const common: PlanStep[] = rest.length === 0 ? [] : [{ ...plain, modes: rest }];
  return [...common, ...withVariant.map((mode) => variantOf(plain, item, mode, modes.length > 1))];
}

function variantOf(plain: PlanStep, item: RunbookStep, mode: Mode, isOneOfTwo: boolean): PlanStep {
  const step = applySettings(plain, item.variants[mode] ?? {});
  return { ...step, id: isOneOfTwo ? `${plain.id}-${mode}` : plain.id, modes: [mode] };
}

function makePlain(context: PlanContext, item: RunbookStep, after: string[], above: readonly PlanStep[]): PlanStep {
  const { verb, id } = item;
  const resource = context.service.resources.find((r) => r.name === item.resource);
  if (resource === undefined) throw new RangeError(`no resource ${item.resource}`);
  const purpose = purposeOf(context, item, above);
  const made = makeStep(context, { verb, resource, after, id, purpose });
  return applySettings(made, item.settings);
}

/** What an observation is for follows from where it stands: before the fence it is a look, after it the last word. */
function purposeOf(context: PlanContext, item: RunbookStep, above: readonly PlanStep[]): Purpose | undefined {
  if (item.verb === 'restore') return item.settings.args?.['remove'] === true ? 'remove' : undefined;
  const driver = context.service.resources.find((r) => r.name === item.resource)?.driver ?? '';
  if (item.verb !== 'observe' || !movesWriter(context.kind) || !isStateful(context.catalogue, driver)) return undefined;
  return above.some((step) => step.verb === 'fence' && step.resource === item.resource) ? 'freeze' : 'lag';
}

function applySettings(step: PlanStep, settings: StepSettings): PlanStep {
  const withinMs = settings.withinMs ?? step.withinMs;
  return {
    ...step,
    withinMs,
    attemptMs: settings.withinMs === undefined ? step.attemptMs : attemptBudgetMs(withinMs),
    onFailure: settings.onFailure ?? step.onFailure,
    critical: settings.critical ?? step.critical,
    args: { ...step.args, ...settings.args },
  };
}
