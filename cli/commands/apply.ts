import type { Command } from 'commander';
import { action } from '../command.ts';

export function addApply(program: Command): void {
  program
    .command('apply [estate]')
    .description(
      "Make Temporal's schedules, archives of WAL and replications what the estate asks for; repeating it changes nothing",
    )
    .option('--dry-run', 'show what would be done and do nothing')
    .option('--json', 'print what was done as JSON')
    .addHelpText(
      'after',
      `
What is paused stays paused: a failback or \`muster schedules resume\` takes it up again. Schedules that were made
from another estate file, or by somebody else, are never touched.

Examples:
  $ npx muster apply muster.yaml --dry-run
  $ npx muster apply muster.yaml`,
    )
    .action(action(async () => (await import('../apply.ts')).apply));
}
