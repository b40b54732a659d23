import type { DriverCatalogue, DriverDescription, VerbDescription } from '../workflows/engine/catalogue.ts';
import type {
  ClockName,
  Gate,
  JsonObject,
  Mode,
  Need,
  OnFailure,
  PlanResource,
  PlanStep,
  RunKind,
  Undo,
  Verb,
} from '../workflows/engine/plan.ts';
import type { EstateResource, EstateService } from './estate.ts';
import { own } from './problems.ts';

/** Everything a step of one plan has in common with the others. */
export interface PlanContext {
  service: EstateService;
  kind: RunKind;
  mode: Mode;
  from: string;
  to: string;
  leaseMs: number;
  /** Who accepted data loss beforehand (command line); null = ask. */
  lossAcceptedBy: string | null;
  catalogue: DriverCatalogue;
}

/**
 * `lag`: look while the source still runs, and prepare it; `freeze`: read what is there after the fence, for good;
 * `remove`: take back what the drill made, whatever happened.
 */
export type Purpose = 'lag' | 'freeze' | 'remove';

export interface StepRequest {
  verb: Verb;
  resource: EstateResource;
  after: readonly string[];
  purpose?: Purpose | undefined;
  id?: string;
}

const bothModes: Mode[] = ['graceful', 'ungraceful'];
/** A check made by the control plane looks at several sites at once; a dead one must not hold it up. */
const controlCheckMs = 5_000;
/** Long calls leave this much of their budget for reading back, short ones half of it. */
const readBackMs = 10_000;

/** The description of a verb, or undefined when the resource's driver does not have it. */
export function describeVerb(catalogue: DriverCatalogue, driver: string, verb: Verb): VerbDescription | undefined {
  return own<DriverDescription>(catalogue, driver)?.verbs[verb];
}

export function isStateful(catalogue: DriverCatalogue, driver: string): boolean {
  return own<DriverDescription>(catalogue, driver)?.stateful ?? false;
}

/** Whether it holds data that no run moves. */
export function isStationary(catalogue: DriverCatalogue, driver: string): boolean {
  return own<DriverDescription>(catalogue, driver)?.stationary ?? false;
}

/** Whether the loss of a resource is measured and judged. */
export function measuresLoss(catalogue: DriverCatalogue, resource: PlanResource): boolean {
  return own<DriverDescription>(catalogue, resource.driver)?.measuresLoss?.(resource) ?? true;
}

export function routesClients(catalogue: DriverCatalogue, driver: string): boolean {
  return own<DriverDescription>(catalogue, driver)?.routes ?? false;
}

/** A run that moves the writer, unlike reprotect and the isolated drill. */
export function movesWriter(kind: RunKind): boolean {
  return kind === 'failover' || kind === 'failback';
}

/** One step with everything its driver says about the verb, and the defaults of the kind of run. The driver must have the verb. */
export function makeStep(context: PlanContext, request: StepRequest): PlanStep {
  const { verb, resource, purpose } = request;
  const said = describeVerb(context.catalogue, resource.driver, verb);
  if (said === undefined) throw new RangeError(`driver ${resource.driver} has no verb ${verb}`);
  const withinMs = budgetMs(context, request, said);
  const judge = judgesLoss(context, resource, verb) ? 'rpo' : null;
  return {
    id: request.id ?? defaultId(verb, resource.name, purpose),
    verb,
    resource: resource.name,
    site: siteOf(context, said, verb, purpose),
    after: [...request.after],
    modes: modesOf(context, verb, purpose),
    effect: said.effect,
    needs: needsOf(said, purpose),
    withinMs,
    attemptMs: attemptBudgetMs(withinMs),
    estimateMs: Math.round(said.estimateSeconds * 1000),
    onFailure: looksAside(context, request) ? 'skip' : onFailureOf(context, verb, purpose),
    critical: !(
      purpose === 'remove' ||
      (verb === 'quiesce' && context.mode === 'ungraceful') ||
      looksAside(context, request)
    ),
    repeatable: said.repeatable,
    undo: undoOf(context, said, verb, purpose),
    clock: clockOf(context, resource, verb),
    judge,
    gate: judge === 'rpo' ? lossGate(context) : holdsWriter(context, request) ? fenceGate(context, resource) : null,
    always: purpose === 'remove',
    args: looksAside(context, request) ? { moved: false } : argsOf(context, verb, purpose),
  };
}

/** A look at what the run does not move: whatever it finds is told, and stops nobody. */
function looksAside({ catalogue }: PlanContext, { verb, resource }: StepRequest): boolean {
  return verb === 'check' && isStationary(catalogue, resource.driver);
}

/** How long one call may take, so that there is time left to read back or to call again. */
export function attemptBudgetMs(withinMs: number): number {
  return withinMs - Math.min(Math.floor(withinMs / 2), readBackMs);
}

export function defaultId(verb: Verb, resource: string, purpose?: Purpose): string {
  const suffix = purpose === undefined || purpose === 'freeze' ? '' : `-${purpose}`;
  return `${verb}-${resource}${suffix}`;
}

function budgetMs(context: PlanContext, request: StepRequest, said: VerbDescription): number {
  const withinMs = Math.round(said.withinSeconds * 1000);
  if (request.verb === 'check' && said.runsAt === 'control') return Math.min(withinMs, controlCheckMs);
  // A fence that cannot reach the old writer waits its lease out; twice, since its granters may answer late.
  return holdsWriter(context, request) ? Math.max(withinMs, 2 * context.leaseMs + readBackMs) : withinMs;
}

/** Whether the step is the fence of something that has a writer, and not just a closed door. */
function holdsWriter({ catalogue }: PlanContext, { verb, resource }: StepRequest): boolean {
  return verb === 'fence' && isStateful(catalogue, resource.driver);
}

/** The site that gets (or keeps) the writer, and the one that becomes the standby. Reprotect starts after the move. */
function roles({ kind, from, to }: PlanContext): { writer: string; standby: string } {
  return kind === 'reprotect' ? { writer: from, standby: to } : { writer: to, standby: from };
}

function siteOf(context: PlanContext, said: VerbDescription, verb: Verb, purpose?: Purpose): string | null {
  // Only the control plane is sure to reach both ends: the lag needs the source as well as the target.
  if (said.runsAt === 'control' || purpose === 'lag') return null;
  const { writer, standby } = roles(context);
  switch (verb) {
    case 'rejoin':
    case 'backup':
      return standby;
    case 'promote':
    case 'replicate':
    case 'restore':
    case 'scale':
    case 'verify':
      return writer;
    default:
      return said.runsAt === 'from' ? context.from : context.to;
  }
}

function modesOf({ kind }: PlanContext, verb: Verb, purpose?: Purpose): Mode[] {
  const needsBothSites = purpose === 'lag' || verb === 'rejoin' || verb === 'replicate';
  return movesWriter(kind) && needsBothSites ? ['graceful'] : [...bothModes];
}

function needsOf(said: VerbDescription, purpose?: Purpose): Need[] {
  const needs = said.needs.filter((need) => need !== 'nothing');
  return purpose === 'lag' && !needs.includes('source') ? [...needs, 'source'] : needs;
}

/** Before anything was changed a failure ends the run; later a person decides, or a planned run goes back by itself. */
function onFailureOf({ kind, mode }: PlanContext, verb: Verb, purpose?: Purpose): OnFailure {
  if (purpose === 'remove') return 'skip';
  if (verb === 'check' || purpose === 'lag' || kind === 'drill') return 'abort';
  if (kind === 'reprotect') return 'pause';
  const planned = mode === 'graceful';
  if (verb === 'quiesce') return planned ? 'abort' : 'skip';
  return planned && (verb === 'fence' || verb === 'observe') ? 'abort' : 'pause';
}

/** A returning writer is never opened again, whatever becomes of the run that closed it; nor is a clean-up taken back. */
function undoOf({ kind }: PlanContext, said: VerbDescription, verb: Verb, purpose?: Purpose): Undo | null {
  const staysAsItIs = purpose === 'remove' || (kind === 'reprotect' && verb === 'fence');
  return said.undo === null || staysAsItIs ? null : { verb: said.undo, args: {} };
}

function clockOf(context: PlanContext, resource: EstateResource, verb: Verb): ClockName | null {
  const { kind, catalogue, service } = context;
  if (verb === 'replicate' && kind !== 'drill') return 'protected';
  if (!movesWriter(kind)) return null;
  switch (verb) {
    case 'fence':
      return 'fenced';
    case 'promote':
      return 'promoted';
    case 'route':
      return 'routed';
    case 'verify': {
      if (isStationary(catalogue, resource.driver)) return null;
      // Real clients come through a route; only a service without one is verified at its data alone.
      const seenByClients = service.resources.some(
        (r) => routesClients(catalogue, r.driver) && describeVerb(catalogue, r.driver, 'verify') !== undefined,
      );
      return !seenByClients || routesClients(catalogue, resource.driver) ? 'verified' : null;
    }
    default:
      return null;
  }
}

function judgesLoss(context: PlanContext, resource: EstateResource, verb: Verb): boolean {
  const looks = verb === 'check' || verb === 'observe';
  const { catalogue, kind } = context;
  return looks && movesWriter(kind) && isStateful(catalogue, resource.driver) && measuresLoss(catalogue, resource);
}

function argsOf(context: PlanContext, verb: Verb, purpose?: Purpose): JsonObject {
  const { writer, standby } = roles(context);
  if (purpose === 'lag') return { prepare: true };
  if (purpose === 'freeze') return { freeze: true };
  if (purpose === 'remove') return { remove: true };
  switch (verb) {
    case 'rejoin':
      return { site: standby, upstream: writer };
    case 'replicate':
      return { standby };
    case 'backup':
      return context.kind === 'reprotect' ? { diverged: true, site: standby, upstream: writer } : {};
    case 'fence':
      return context.kind === 'reprotect' ? { returning: true } : {};
    case 'verify':
      return context.kind === 'drill' ? { scratch: true } : {};
    default:
      return {};
  }
}

function lossGate({ service, to, lossAcceptedBy }: PlanContext): Gate {
  return {
    question: `Accept this loss and go on moving ${service.name} to ${to}?`,
    approvals: 1,
    approvers: [...service.approvers.rpo],
    preApprovedBy: lossAcceptedBy,
  };
}

/** Asked only when the fence cannot be confirmed (design §1.1): two people, by name. */
function fenceGate(context: PlanContext, resource: EstateResource): Gate {
  const { writer, standby } = roles(context);
  const risk = `${standby} may still take writes of ${resource.name} while ${writer} does too (split brain)`;
  return {
    question: `${risk}. Is ${standby} surely stopped, or do you accept that risk?`,
    approvals: 2,
    approvers: [...context.service.approvers.fence],
    preApprovedBy: null,
  };
}

export interface GateRequest {
  id: string;
  question: string;
  approvals: number;
  approvers: readonly string[];
  after: readonly string[];
}

/** A question to people. The gate with the id `commit` ends the move; the policy may have answered it beforehand. */
export function makeGate(context: PlanContext, request: GateRequest): PlanStep {
  const isCommit = request.id === commitId && movesWriter(context.kind);
  const { question, approvals, approvers } = request;
  const preApprovedBy = isCommit && context.service.policy.commit === 'automatic' ? 'policy' : null;
  const clock: ClockName = context.kind === 'failback' ? 'failed-back' : 'committed';
  return {
    ...bareStep(request.id, 'approve', request.after),
    clock: isCommit ? clock : null,
    gate: { question, approvals, approvers: [...approvers], preApprovedBy },
  };
}

export const commitId = 'commit';

/** The commit of a move, as every generated plan has it. */
export function makeCommit(context: PlanContext, after: readonly string[]): PlanStep {
  const { service, to } = context;
  const question = `Commit ${service.name} at ${to}?`;
  return makeGate(context, { id: commitId, question, approvals: 1, approvers: service.approvers.commit, after });
}

/** A step of the run itself: no driver, no resource. */
export function bareStep(id: string, verb: 'approve' | 'wait' | 'notify', after: readonly string[]): PlanStep {
  return {
    id,
    verb,
    resource: '',
    site: null,
    after: [...after],
    modes: [...bothModes],
    effect: 'read',
    needs: [],
    withinMs: 0,
    attemptMs: 0,
    estimateMs: 0,
    onFailure: 'pause',
    critical: true,
    repeatable: true,
    undo: null,
    clock: null,
    judge: null,
    gate: null,
    always: false,
    args: {},
  };
}
