import type { PlanStep, Verb } from '../workflows/engine/plan.ts';
import type { EstateResource } from './estate.ts';
import { ancestorsOf, leavesOf } from './graph.ts';
import {
  describeVerb,
  isStateful,
  isStationary,
  makeCommit,
  makeStep,
  routesClients,
  type PlanContext,
  type Purpose,
  type StepRequest,
} from './steps.ts';

/** The steps of a run without a runbook: from the dependency graph and the verbs that the drivers have. */
export function generateSteps(context: PlanContext): PlanStep[] {
  const draft = beginDraft(context);
  switch (context.kind) {
    case 'failover':
    case 'failback':
      return move(draft);
    case 'reprotect':
      return reprotect(draft);
    case 'drill':
      return isolatedDrill(draft);
  }
}

interface Draft {
  context: PlanContext;
  steps: PlanStep[];
  /** Dependencies first. */
  stateful: EstateResource[];
  routes: EstateResource[];
  others: EstateResource[];
  /** What stays where it is. */
  stationary: EstateResource[];
  /** For each resource everything it depends on, directly or not. */
  dependsOn: Map<string, Set<string>>;
}

function beginDraft(context: PlanContext): Draft {
  const { resources } = context.service;
  const dependsOn = ancestorsOf(new Map(resources.map((r) => [r.name, r.after])));
  const count = (r: EstateResource): number => dependsOn.get(r.name)?.size ?? 0;
  const ordered = [...resources].sort((a, b) => count(a) - count(b));
  const stateful = ordered.filter((r) => isStateful(context.catalogue, r.driver));
  const routes = ordered.filter((r) => !stateful.includes(r) && routesClients(context.catalogue, r.driver));
  const stationary = ordered.filter((r) => isStationary(context.catalogue, r.driver));
  const placed = [...stateful, ...routes, ...stationary];
  const others = ordered.filter((r) => !placed.includes(r));
  return { context, steps: [], stateful, routes, others, stationary, dependsOn };
}

/** Adds one verb for each of the resources that have it, side by side after everything before. */
function addWave(draft: Draft, verb: Verb, resources: readonly EstateResource[], purpose?: Purpose): void {
  const after = leavesOf(draft.steps);
  draft.steps.push(...resources.flatMap((resource) => stepIfAble(draft, { verb, resource, after, purpose })));
}

/** As `addWave`, but a resource also waits for the same verb of the resources it depends on. */
function addInOrder(draft: Draft, verb: Verb, resources: readonly EstateResource[]): void {
  const before = leavesOf(draft.steps);
  const added: PlanStep[] = [];
  for (const resource of resources) {
    const dependencies = draft.dependsOn.get(resource.name);
    const waitsFor = added.filter((step) => dependencies?.has(step.resource)).map((step) => step.id);
    added.push(...stepIfAble(draft, { verb, resource, after: [...before, ...waitsFor] }));
  }
  draft.steps.push(...added);
}

function stepIfAble({ context }: Draft, request: StepRequest): PlanStep[] {
  const able = describeVerb(context.catalogue, request.resource.driver, request.verb) !== undefined;
  return able ? [makeStep(context, request)] : [];
}

/** Adds verbs one after the other for one resource; the first waits for `after`. */
function addChain(
  draft: Draft,
  resource: EstateResource,
  after: readonly string[],
  chain: readonly (readonly [Verb, Purpose?])[],
): void {
  let last = after;
  for (const [verb, purpose] of chain) {
    const steps = stepIfAble(draft, { verb, resource, after: last, purpose });
    draft.steps.push(...steps);
    if (steps.length > 0) last = steps.map((step) => step.id);
  }
}

function move(draft: Draft): PlanStep[] {
  const { stateful, routes, others } = draft;
  const all = [...stateful, ...others, ...routes];
  addWave(draft, 'check', all);
  addWave(draft, 'observe', stateful, 'lag');
  addWave(draft, 'quiesce', [...others, ...routes]);
  const quiet = leavesOf(draft.steps);
  for (const resource of stateful) addChain(draft, resource, quiet, [['fence'], ['observe', 'freeze']]);
  addInOrder(draft, 'promote', stateful);
  addInOrder(draft, 'scale', others);
  addInOrder(draft, 'route', routes);
  addWave(draft, 'verify', all);
  const commit = makeCommit(draft.context, leavesOf(draft.steps));
  draft.steps.push(commit);
  for (const resource of stateful) addChain(draft, resource, [commit.id], [['rejoin'], ['replicate']]);
  // From the start, and nothing waits for it.
  for (const resource of draft.stationary) addChain(draft, resource, [], [['check']]);
  return draft.steps;
}

function reprotect(draft: Draft): PlanStep[] {
  addWave(draft, 'check', draft.stateful);
  const checked = leavesOf(draft.steps);
  for (const resource of draft.stateful)
    addChain(draft, resource, checked, [['fence'], ['backup'], ['rejoin'], ['replicate']]);
  return draft.steps;
}

function isolatedDrill(draft: Draft): PlanStep[] {
  addWave(draft, 'check', draft.stateful);
  const checked = leavesOf(draft.steps);
  for (const resource of draft.stateful) {
    const canRestore = describeVerb(draft.context.catalogue, resource.driver, 'restore') !== undefined;
    if (canRestore) addChain(draft, resource, checked, [['restore'], ['verify'], ['restore', 'remove']]);
  }
  return draft.steps;
}
