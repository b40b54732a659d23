import type { Command } from 'commander';
import { action } from '../command.ts';

/** What a person may order a running run to do, and the order's name in orders.ts. */
const orders = [
  { command: 'pause', order: 'pause', description: 'Hold a run: no new step starts' },
  { command: 'resume', order: 'resume', description: 'Go on; failed steps are read back and tried again' },
  { command: 'skip', order: 'skip', description: 'Go on without a failed step' },
  { command: 'retry', order: 'retry', description: 'Try a failed step again' },
  { command: 'go-ungraceful', order: 'goUngraceful', description: 'Stop waiting for the source site' },
  { command: 'abort', order: 'abort', description: 'End a run and undo it, before its point of no return' },
] as const;

export function addOrders(program: Command): void {
  common(program.command('approve [service]').description('Answer what a run asks'))
    .option('--decline', 'say no instead')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx muster approve shop --by ana --why "the business accepts the loss"\n  $ npx muster approve shop --step fence-orders --decline --by bo --why "it is still up"',
    )
    .action(action(async () => (await import('../orders.ts')).approve));
  for (const { command, order, description } of orders) {
    common(program.command(`${command} [service]`).description(description))
      .addHelpText('after', `\nExample:\n  $ npx muster ${command} shop --by ana --why "looked at it"`)
      .action(action(async () => (await import('../orders.ts')).give(order)));
  }
}

function common(command: Command): Command {
  return command
    .requiredOption('--by <name>', 'who you are')
    .requiredOption('--why <reason>', 'why; it goes into the report')
    .option('--step <id>', 'the step meant, when there are several')
    .option('--json', 'print the run as JSON');
}
