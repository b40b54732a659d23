import type { Command } from 'commander';
import { loneAction } from '../command.ts';

export function addUpAndDown(program: Command): void {
  program
    .command('up')
    .description('Start the sandbox: two sites, clients, Temporal, ledger; runs until Ctrl-C or `down`')
    .option('--ask', 'a person declares disasters, instead of the policy')
    .option('--detach', 'start it in the background and return')
    .option('--json', 'print one JSON line when it is up')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx muster up\n  $ npx muster up --detach && npx muster status && npx muster down',
    )
    .action(loneAction(async () => (await import('../up.ts')).up));
  program
    .command('down')
    .description('End the sandbox of this folder and everything it started')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ npx muster down')
    .action(loneAction(async () => (await import('../up.ts')).down));
}
