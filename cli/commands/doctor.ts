import type { Command } from 'commander';
import { action } from '../command.ts';

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('Check what Muster leans on: estate, secrets, Temporal, ledger, agents, databases')
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', '\nExample:\n  $ npx muster doctor')
    .action(action(async () => (await import('../doctor.ts')).checkUp));
}
