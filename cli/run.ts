/** What failover, failback, reprotect and drill share: plan and show; what is to be done is conducted by conduct-run.ts. */
import { drawText } from '../runbooks/draw.ts';
import { planRun, type PlanRequest } from '../worker/planner.ts';
import type { Preempted } from '../worker/preempt-drill.ts';
import { readServiceState } from '../worker/service-state.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { Plan } from '../workflows/engine/plan.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { note, say, sayJson } from './output.ts';

export interface RunOptions {
  json?: boolean;
  dryRun?: boolean;
  detach?: boolean;
  by?: string;
}

export async function runAndFollow(
  context: Context,
  options: RunOptions,
  name: string | undefined,
  request: PlanRequest,
): Promise<ExitCode> {
  const service = context.service(name);
  const startedBy = options.by ?? process.env['USER'] ?? 'operator';
  const isReal = request.kind === 'failover' && options.dryRun !== true;
  // Before anything is planned: a drill may have moved the service, or have taken an epoch.
  const preempted = isReal ? await endDrill(context, service.name, startedBy) : null;
  const state = await readServiceState(context.estate(), service);
  const plans = await plansOrActive(context, service.name, () => planRun(context.estate(), service, state, request));
  if (options.dryRun === true) {
    if (options.json === true) sayJson(plans);
    else for (const plan of plans) say(drawText(plan));
    return exitCodes.met;
  }
  const { conductRun } = await import('./conduct-run.ts');
  return conductRun(context, options, { service, kind: request.kind, plans, startedBy, preempted });
}

async function endDrill(context: Context, service: string, by: string): Promise<Preempted | null> {
  const { preemptDrill, preemptionText } = await import('../worker/preempt-drill.ts');
  const preempted = await preemptDrill(await context.temporal(), service, { by, why: 'gives way to a failover' });
  if (preempted !== null) note(preemptionText(preempted));
  return preempted;
}

/** An order given twice is refused with the first run's id, also when the plan of the second could not even be made. */
async function plansOrActive(context: Context, service: string, plan: () => Plan[]): Promise<Plan[]> {
  try {
    return plan();
  } catch (err) {
    if (!(err instanceof MusterError) || err.code !== 'ALREADY_PRIMARY') throw err;
    const { activeRun } = await import('../worker/run-start.ts');
    const active = await activeRun(await context.temporal(), service).catch(() => null);
    if (active === null) throw err;
    throw new MusterError('RUN_ACTIVE', `service ${service} is in the hands of ${active.runId} (${active.kind})`);
  }
}
