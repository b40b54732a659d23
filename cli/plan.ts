import { driverCatalogue } from '../activities/drivers/catalogue.ts';
import { drawMermaid, drawText } from '../runbooks/draw.ts';
import { loadRunbook, type Runbook } from '../runbooks/runbook.ts';
import { planRun, type PlanRequest } from '../worker/planner.ts';
import { readServiceState } from '../worker/service-state.ts';
import type { RunKind } from '../workflows/engine/plan.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { say, sayJson } from './output.ts';

interface PlanOptions {
  kind: RunKind;
  planned?: boolean;
  live?: boolean;
  runbook?: string;
  mermaid?: boolean;
  json?: boolean;
}

/** `muster plan` */
export async function showPlan(context: Context, options: PlanOptions, name?: string): Promise<ExitCode> {
  const service = context.service(name);
  const state = await readServiceState(context.estate(), service);
  const plans = planRun(
    context.estate(),
    service,
    state,
    requestOf(options, (file) => loadRunbook(file, context.estate(), driverCatalogue)),
  );
  if (options.json === true) sayJson(plans);
  else for (const plan of plans) say(options.mermaid === true ? drawMermaid(plan) : drawText(plan));
  return exitCodes.met;
}

function requestOf(options: PlanOptions, load: (file: string) => Runbook): PlanRequest {
  return {
    kind: options.kind,
    ...(options.kind === 'failover' && {
      mode: options.planned === true ? ('graceful' as const) : ('ungraceful' as const),
    }),
    ...(options.live === true && { drillKind: 'live' as const }),
    ...(options.runbook !== undefined && { runbook: load(options.runbook) }),
  };
}
