import type { DriverCatalogue } from '../workflows/engine/catalogue.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { Mode, Plan, PlanStep, RunKind } from '../workflows/engine/plan.ts';
import type { Estate, EstateService } from './estate.ts';
import { deepFreeze } from './freeze.ts';
import { stepsFromRunbook } from './from-runbook.ts';
import { generateSteps } from './generate.ts';
import { reachableModes } from './graph.ts';
import { hashPlan } from './hash.ts';
import { lint } from './lint.ts';
import { withVaults } from './stationary-vaults.ts';
import { chooseAmong } from './nearest.ts';
import { own } from './problems.ts';
import type { Runbook } from './runbook.ts';
import type { PlanContext } from './steps.ts';

export interface CompileInput {
  estate: Estate;
  service: string;
  kind: RunKind;
  /** Site that holds (or held) the writer. Default: the primary; the standby for failback and reprotect. */
  from?: string;
  /** Site that is to hold it; for reprotect the one that rejoins. Default: the other site of the service. */
  to?: string;
  mode: Mode;
  /** Epoch for the new writer, a whole number above any seen. */
  epoch: number;
  drill?: boolean;
  /** Hand-written; without one the steps are generated. */
  runbook?: Runbook;
  /** Who accepted data loss beforehand (`acceptDataLossBy`); the RPO gates then open by that name. */
  preApprovedBy?: string | null;
  catalogue: DriverCatalogue;
}

/**
 * Compiles a run: steps, resolved resources and policy, linted, frozen and hashed. Pure: no files, no environment.
 * @throws MusterError SERVICE_UNKNOWN, SITE_UNKNOWN, ALREADY_PRIMARY (from = to), RUNBOOK_INVALID (another kind or
 * service than asked for), PLAN_UNSAFE (a lint rule is broken; all findings, one per line)
 */
export function compile(input: CompileInput): Plan {
  const { estate, kind, mode, epoch, runbook, catalogue } = input;
  if (!Number.isSafeInteger(epoch) || epoch < 1) throw new MusterError('INTERNAL', `${epoch} is not an epoch`);
  const service = serviceOf(estate, input.service);
  refuseOtherRunbook(input, runbook);
  const { from, to } = direction(estate, service, input);
  const leaseMs = Math.round(service.policy.leaseSeconds * 1000);
  const lossAcceptedBy = input.preApprovedBy ?? null;
  const context: PlanContext = { service, kind, mode, from, to, leaseMs, lossAcceptedBy, catalogue };
  const written = runbook === undefined ? null : stepsFromRunbook(context, runbook);
  const steps = withoutUnreachable(written?.steps ?? generateSteps(context), mode);
  const body = {
    version: 1 as const,
    kind,
    service: service.name,
    from,
    to,
    mode,
    epoch,
    drill: input.drill ?? kind === 'drill',
  };
  const plan = structuredClone({
    ...body,
    leaseMs,
    objectives: service.objectives,
    level: service.level,
    sites: { [from]: siteOf(estate, from), [to]: siteOf(estate, to) },
    resources: service.resources.map((resource) => withVaults(resource, { estate, service, from, catalogue })),
    steps,
  });
  const hashed: Plan = { ...plan, hash: hashPlan(plan) };
  refuseUnsafe(hashed, catalogue, written?.lines ?? new Map(), runbook?.fileName ?? null);
  return deepFreeze(hashed);
}

/** A live drill: over and back, planned both times. The second plan has the next epoch. */
export function compileLiveDrill(
  input: Omit<CompileInput, 'kind' | 'mode' | 'drill' | 'runbook'>,
): [there: Plan, back: Plan] {
  const there = compile({ ...input, kind: 'failover', mode: 'graceful', drill: true });
  const { from: to, to: from, epoch } = there;
  return [there, compile({ ...input, kind: 'failback', mode: 'graceful', drill: true, from, to, epoch: epoch + 1 })];
}

function serviceOf(estate: Estate, name: string): EstateService {
  const service = own(estate.services, name);
  if (service !== undefined) return service;
  const known = Object.keys(estate.services);
  throw new MusterError('SERVICE_UNKNOWN', `no service is named "${name}"; known: ${known.join(', ')}`);
}

function refuseOtherRunbook(input: CompileInput, runbook: Runbook | undefined): void {
  if (runbook === undefined) return;
  const { fileName, kind, service } = runbook;
  if (kind !== input.kind)
    throw new MusterError('RUNBOOK_INVALID', `${fileName}: is a runbook for ${kind}, not for ${input.kind}`);
  if (service !== input.service)
    throw new MusterError(
      'RUNBOOK_INVALID',
      `${fileName}: is a runbook for service ${service}, not for ${input.service}`,
    );
}

function direction(estate: Estate, service: EstateService, input: CompileInput): { from: string; to: string } {
  const { primary, standby } = service;
  const other = (site: string): string => (site === primary ? standby : primary);
  for (const site of [input.from, input.to]) if (site !== undefined) refuseStranger(estate, service, site);
  const forward = input.kind === 'failover' || input.kind === 'drill';
  const start = forward ? primary : standby;
  const from = input.from ?? (input.to === undefined ? start : other(input.to));
  const to = input.to ?? other(from);
  if (from === to) throw new MusterError('ALREADY_PRIMARY', `${service.name}: ${from} is both source and target`);
  return { from, to };
}

function refuseStranger(estate: Estate, service: EstateService, site: string): void {
  const pair = [service.primary, service.standby];
  if (pair.includes(site)) return;
  if (own(estate.sites, site) !== undefined)
    throw new MusterError('SITE_UNKNOWN', `${service.name} does not use site ${site}; it uses ${pair.join(' and ')}`);
  const fix = chooseAmong(site, Object.keys(estate.sites), 'known');
  throw new MusterError('SITE_UNKNOWN', `no site is named "${site}"; ${fix}`);
}

function siteOf(estate: Estate, name: string): Estate['sites'][string] {
  return own(estate.sites, name) ?? { name, agentUrl: null, region: null };
}

/** Leaves out the steps that no mode of this run reaches; what came after them comes after what they came after. */
function withoutUnreachable(steps: readonly PlanStep[], mode: Mode): PlanStep[] {
  const modes = reachableModes(mode);
  const dropped = new Map(steps.filter((s) => !s.modes.some((m) => modes.includes(m))).map((s) => [s.id, s.after]));
  const bridge = (id: string): string[] => dropped.get(id)?.flatMap(bridge) ?? [id];
  return steps
    .filter((step) => !dropped.has(step.id))
    .map((step) => ({ ...step, after: [...new Set(step.after.flatMap(bridge))] }));
}

function refuseUnsafe(
  plan: Plan,
  catalogue: DriverCatalogue,
  lines: ReadonlyMap<string, number>,
  fileName: string | null,
): void {
  const errors = lint(plan, catalogue).filter((finding) => finding.severity === 'error');
  if (errors.length === 0) return;
  const texts = errors.map(({ rule, stepId, message, fix }) => {
    const line = stepId === null ? undefined : lines.get(stepId);
    const place = fileName === null ? '' : line === undefined ? `${fileName}: ` : `${fileName}:${line}: `;
    return `${place}${stepId === null ? '' : `${stepId}: `}${message} (rule ${rule}). Fix: ${fix}`;
  });
  throw new MusterError('PLAN_UNSAFE', texts.join('\n'));
}
