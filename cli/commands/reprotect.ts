import type { Command } from 'commander';
import { action } from '../command.ts';

export function addReprotect(program: Command): void {
  program
    .command('reprotect [service]')
    .description('Make a returned site the standby again')
    .option('--by <name>', 'who orders it (default: $USER)')
    .option('--dry-run', 'show the plan and start nothing')
    .option('--detach', 'start it and return')
    .option('--json', 'print the run as JSON')
    .addHelpText('after', '\nExamples:\n  $ npx muster reprotect shop\n  $ npx muster reprotect shop --dry-run')
    .action(action(async () => (await import('../reprotect.ts')).reprotect));
}
