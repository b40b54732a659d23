import type { Command } from 'commander';
import { action } from '../command.ts';

export function addStatus(program: Command): void {
  program
    .command('status [service]')
    .description('Who writes, who follows, what runs; and what does not answer')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExamples:\n  $ npx muster status\n  $ npx muster status shop --json')
    .action(action(async () => (await import('../status.ts')).showStatus));
}
