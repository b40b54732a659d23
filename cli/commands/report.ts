import type { Command } from 'commander';
import { action } from '../command.ts';

export function addReport(program: Command): void {
  program
    .command('report [runs...]')
    .description('Make the report of one run or of several that belong together (default: the last one)')
    .option('--service <name>', 'service whose last run is meant')
    .option('--out <dir>', 'where to write the page and the JSON (default: .muster/reports)')
    .option('--json', 'print the report as JSON instead of its headline')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx muster report\n  $ npx muster report failover-shop-20261120-081500-4f2a --out ./evidence\n  $ npx muster report --json > report.json',
    )
    .action(action(async () => (await import('../report.ts')).report));
}
