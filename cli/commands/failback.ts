import type { Command } from 'commander';
import { action } from '../command.ts';

export function addFailback(program: Command): void {
  program
    .command('failback [service]')
    .description('Bring a service home')
    .option('--by <name>', 'who orders it (default: $USER)')
    .option('--dry-run', 'show the plan and start nothing')
    .option('--detach', 'start it and return')
    .option('--json', 'print the run as JSON')
    .addHelpText('after', '\nExamples:\n  $ npx muster failback shop\n  $ npx muster failback shop --dry-run')
    .action(action(async () => (await import('../failback.ts')).failback));
}
