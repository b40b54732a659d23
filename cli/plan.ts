import { Option, type Command } from 'commander';
import { driverCatalogue } from '../activities/drivers/index.ts';
import { drawMermaid, drawText } from '../runbooks/draw.ts';
import { loadRunbook, type Runbook } from '../runbooks/runbook.ts';
import { planRun, type PlanRequest } from '../worker/planner.ts';
import { readServiceState } from '../worker/service-state.ts';
import type { RunKind } from '../workflows/engine/plan.ts';
import { action } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { say, sayJson } from './output.ts';

interface PlanOptions {
  kind: RunKind;
  planned?: boolean;
  live?: boolean;
  runbook?: string;
  mermaid?: boolean;
  json?: boolean;
}

export function addPlan(program: Command): void {
  program
    .command('plan [service]')
    .description('Show what a run would do, compiled against the present; nothing is started')
    .addOption(
      new Option('--kind <kind>', 'kind of run')
        .choices(['failover', 'failback', 'reprotect', 'drill'])
        .default('failover'),
    )
    .option('--planned', 'the graceful failover')
    .option('--live', 'the live drill: there and back')
    .option('--runbook <file>', 'a hand-written runbook')
    .option('--mermaid', 'draw it as a Mermaid flowchart')
    .option('--json', 'print the plan as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx muster plan shop\n  $ npx muster plan shop --kind drill --live\n  $ npx muster plan shop --mermaid',
    )
    .action(
      action<PlanOptions>(async (context, options, name) => {
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
      }),
    );
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
