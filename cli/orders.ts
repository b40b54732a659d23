/** The orders a person gives a running run: approve, pause, resume, skip, retry, go-ungraceful, abort. */
import type { Command } from 'commander';
import { answerRun, orderRun, type OrderName } from '../worker/run-follow.ts';
import type { RunView } from '../workflows/io.ts';
import { action } from './command.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { createLiveView } from './live-view.ts';
import { sayJson } from './output.ts';

interface OrderOptions {
  by: string;
  why: string;
  step?: string;
  json?: boolean;
}

const orders: { command: string; update: OrderName; description: string }[] = [
  { command: 'pause', update: 'pause', description: 'Hold a run: no new step starts' },
  { command: 'resume', update: 'resume', description: 'Go on; failed steps are read back and tried again' },
  { command: 'skip', update: 'skip', description: 'Go on without a failed step' },
  { command: 'retry', update: 'retry', description: 'Try a failed step again' },
  { command: 'go-ungraceful', update: 'goUngraceful', description: 'Stop waiting for the source site' },
  { command: 'abort', update: 'abort', description: 'End a run and undo it, before its point of no return' },
];

export function addOrders(program: Command): void {
  common(program.command('approve [service]').description('Answer what a run asks'))
    .option('--decline', 'say no instead')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx muster approve shop --by ana --why "the business accepts the loss"\n  $ npx muster approve shop --step fence-orders --decline --by bo --why "it is still up"',
    )
    .action(
      action<OrderOptions & { decline?: boolean }>(async (context, options, name) => {
        const service = context.service(name).name;
        const answer = options.decline === true ? 'decline' : 'approve';
        return show(await answerRun(await context.temporal(), service, { answer, ...orderOf(options) }), options);
      }),
    );
  for (const { command, update, description } of orders) {
    common(program.command(`${command} [service]`).description(description))
      .addHelpText('after', `\nExample:\n  $ npx muster ${command} shop --by ana --why "looked at it"`)
      .action(
        action<OrderOptions>(async (context, options, name) => {
          const service = context.service(name).name;
          return show(await orderRun(await context.temporal(), service, update, orderOf(options)), options);
        }),
      );
  }
}

function common(command: Command): Command {
  return command
    .requiredOption('--by <name>', 'who you are')
    .requiredOption('--why <reason>', 'why; it goes into the report')
    .option('--step <id>', 'the step meant, when there are several')
    .option('--json', 'print the run as JSON');
}

function orderOf({ by, why, step }: OrderOptions): { by: string; why: string; stepId?: string } {
  return { by, why, ...(step !== undefined && { stepId: step }) };
}

function show(view: RunView, options: OrderOptions): ExitCode {
  if (options.json === true) sayJson(view);
  else createLiveView(false).show(view);
  return view.asks.length > 0 || view.status === 'paused' ? exitCodes.needsPerson : exitCodes.met;
}
