import { drawMermaid } from '../runbooks/draw.ts';
import type { EstateService } from '../runbooks/estate.ts';
import { hashEstate } from '../runbooks/hash.ts';
import { controlAddress } from '../worker/addresses.ts';
import { preemptionText, type Preempted } from '../worker/preempt-drill.ts';
import { followRun } from '../worker/run-follow.ts';
import { startRun } from '../worker/run-start.ts';
import { software } from '../worker/software.ts';
import { clocksOf, readWatch } from '../worker/watch-state.ts';
import { judge, lossResources, worstRpoSeconds, type Verdict } from '../workflows/engine/measure.ts';
import type { Plan, RunKind } from '../workflows/engine/plan.ts';
import type { RunView } from '../workflows/io.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { createLiveView } from './live-view.ts';
import { say, sayJson, style } from './output.ts';
import type { RunOptions } from './run.ts';

/** What is to be started, and how it came to that. */
export interface PlannedRun {
  service: EstateService;
  kind: RunKind;
  plans: Plan[];
  startedBy: string;
  preempted: Preempted | null;
}

/** Starts a run, follows it on the terminal, and judges it by its objectives. */
export async function conductRun(context: Context, options: RunOptions, planned: PlannedRun): Promise<ExitCode> {
  const { service, kind, plans, startedBy, preempted } = planned;
  const client = await context.temporal();
  const labels = { estateHash: hashEstate(context.estate()), software, chainId: null, scenario: null };
  const details = plans.map((plan) => `\`\`\`mermaid\n${drawMermaid(plan)}\n\`\`\``).join('\n\n');
  const unplanned = kind === 'failover' && plans[0]?.mode === 'ungraceful';
  const clocks = unplanned ? clocksOf(await readWatch(controlAddress(context.estate()), service.name), Date.now()) : {};
  const findings = preempted === null ? [] : [preemptionText(preempted)];
  const run = await startRun(client, { kind, plans, startedBy, labels, details, clocks, findings });
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

interface Judged {
  rto: Verdict | null;
  rpo: Verdict | null;
}

/** The objectives of a run that moved the writer; a drill of a copy and a reprotect have none of their own. */
function judgeObjectives(view: RunView, plan: Plan): Judged {
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
