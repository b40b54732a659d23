import type { Command } from 'commander';
import { action } from '../command.ts';

export function addFailover(program: Command): void {
  program
    .command('failover [service]')
    .description('Move a service to its standby site')
    .option('--to <site>', 'site to move to (default: the other one)')
    .option('--planned', 'graceful: the source takes part and nothing is lost')
    .option('--runbook <file>', 'hand-written runbook instead of the generated one')
    .option('--accept-data-loss', 'open the RPO gates beforehand, in the name of --by')
    .option('--by <name>', 'who orders it (default: $USER)')
    .option('--dry-run', 'show the plan and start nothing')
    .option('--detach', 'start it and return')
    .option('--json', 'print the run as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ npx muster failover shop                     # the primary site is gone
  $ npx muster failover shop --planned           # a move without loss
  $ npx muster failover shop --dry-run           # what would happen
  $ npx muster failover shop --accept-data-loss --by ana`,
    )
    .action(action(async () => (await import('../failover.ts')).failover));
}
