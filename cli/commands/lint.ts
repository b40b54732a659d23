import type { Command } from 'commander';
import { action } from '../command.ts';

export function addLint(program: Command): void {
  program
    .command('lint [estate] [runbook]')
    .description('Check an estate, every plan it leads to, and a runbook; touches nothing')
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx muster lint muster.yaml\n  $ npx muster lint muster.yaml failover-shop.yaml',
    )
    .action(action(async () => (await import('../lint.ts')).lintEstate));
}
