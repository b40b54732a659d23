import type { Command } from 'commander';
import { action } from '../command.ts';

export function addDiff(program: Command): void {
  program
    .command('diff [estate]')
    .description(
      "Show where Temporal's schedules and what runs all the time are not what the estate asks for; changes nothing",
    )
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      `
Exit codes, as those of diff: 0 no difference; 1 there are differences, or it failed (a message says so);
2 wrong estate or configuration.

Examples:
  $ npx muster diff muster.yaml
  $ npx muster diff muster.yaml --json | jq '.steps[] | select(.step != "same")'`,
    )
    .action(action(async () => (await import('../diff.ts')).diff));
}
