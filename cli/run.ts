/** What failover, failback, reprotect and drill share: plan, show, start, follow, judge. */
import { drawMermaid, drawText } from '../runbooks/draw.ts';
import { hashEstate } from '../runbooks/hash.ts';
import { planRun, type PlanRequest } from '../worker/planner.ts';
import { preemptDrill, preemptionText, type Preempted } from '../worker/preempt-drill.ts';
import { readServiceState } from '../worker/service-state.ts';
import { activeRun, startRun } from '../worker/run-start.ts';
import { followRun } from '../worker/run-follow.ts';
import { controlAddress } from '../worker/addresses.ts';
import { clocksOf, readWatch } from '../worker/watch-state.ts';
import { software } from '../worker/software.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { judge, lossResources, worstRpoSeconds, type Verdict } from '../workflows/engine/measure.ts';
import type { Plan, RunKind } from '../workflows/engine/plan.ts';
import type { RunView } from '../workflows/io.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { createLiveView } from './live-view.ts';
import { note, say, sayJson, style } from './output.ts';

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
  const client = await context.temporal();
  const labels = { estateHash: hashEstate(context.estate()), software, chainId: null, scenario: null };
  const details = plans.map((plan) => `\`\`\`mermaid\n${drawMermaid(plan)}\n\`\`\``).join('\n\n');
  const unplanned = request.kind === 'failover' && plans[0]?.mode === 'ungraceful';
  const clocks = unplanned ? clocksOf(await readWatch(controlAddress(context.estate()), service.name), Date.now()) : {};
  const findings = preempted === null ? [] : [preemptionText(preempted)];
  const run = await startRun(client, { kind: request.kind, plans, startedBy, labels, details, clocks, findings });
  if (options.detach === true) {
    if (options.json === true) sayJson(run);
    else say(`started ${run.runId}; follow it with: npx muster status ${service.name}`);
    return exitCodes.met;
  }
  const live = options.json === true ? null : createLiveView();
  const view = await followRun(
    client,
    { service: service.name, executionId: run.executionId },
    (v) => live?.show(v),
    true,
  );
  if (options.json === true) sayJson(view);
  return judgeRun(view, plans.at(-1), options.json !== true);
}

async function endDrill(context: Context, service: string, by: string): Promise<Preempted | null> {
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
    const active = await activeRun(await context.temporal(), service).catch(() => null);
    if (active === null) throw err;
    throw new MusterError('RUN_ACTIVE', `service ${service} is in the hands of ${active.runId} (${active.kind})`);
  }
}

export interface Judged {
  rto: Verdict | null;
  rpo: Verdict | null;
}

/** The objectives of a run that moved the writer; a drill of a copy and a reprotect have none of their own. */
export function judgeObjectives(view: RunView, plan: Plan): Judged {
  const moves = plan.steps.some((step) => step.verb === 'promote');
  if (!moves) return { rto: null, rpo: null };
  const { started, verified } = view.clocks;
  const rtoSeconds =
    started === undefined || verified === undefined ? null : (verified - started - view.waitedForPeopleMs) / 1000;
  return {
    rto: judge(plan.objectives.rtoSeconds, rtoSeconds),
    rpo: judge(plan.objectives.rpoSeconds, worstRpoSeconds(view.measurements, lossResources(plan).judged)),
  };
}

function judgeRun(view: RunView, plan: Plan | undefined, speak: boolean): ExitCode {
  if (view.status !== 'finished') return exitCodes.needsPerson;
  if (view.outcome === 'failed' || view.outcome === 'aborted') {
    if (speak) say(`${style.red(view.outcome)}: ${view.reason ?? ''}`);
    return exitCodes.failed;
  }
  const { rto, rpo } = plan === undefined ? { rto: null, rpo: null } : judgeObjectives(view, plan);
  if (speak)
    for (const [name, verdict] of [
      ['RTO', rto],
      ['RPO', rpo],
    ] as const)
      if (verdict !== null) say(verdictLine(name, verdict));
  if (speak && view.outcome === 'unprotected')
    say(
      style.yellow(
        `unprotected: no standby follows yet. When the other site is back: npx muster reprotect ${view.service}`,
      ),
    );
  return [rto, rpo].every((verdict) => verdict === null || verdict.kind === 'met')
    ? exitCodes.met
    : exitCodes.objectivesMissed;
}

function verdictLine(name: string, verdict: Verdict): string {
  if (verdict.kind === 'unknown')
    return `${name} ${style.yellow('unknown')} (target ${verdict.target} s): ${verdict.why}`;
  const colour = verdict.kind === 'met' ? style.green : style.red;
  return `${name} ${colour(`${verdict.actual.toFixed(2)} s`)} of ${verdict.target} s: ${verdict.kind}`;
}

export const runKindsHelp: Record<RunKind, string> = {
  failover: 'Move a service to its standby site',
  failback: 'Bring a service home',
  reprotect: 'Make a returned site the standby again',
  drill: 'Prove that a failover would work',
};
