import type { Command } from 'commander';
import { action } from '../command.ts';

const help = `
What was missed, left out, failed, damaged, lost or not proven, by whatever found it: runs, schedules, restore tests,
checks of vaults, archives of WAL. Findings stay for ever; nobody has to close them.

Examples:
  $ npx muster findings
  $ npx muster findings shop --days 30
  $ npx muster findings --json | jq '.[] | select(.severity == "critical")'`;

export function addFindings(program: Command): void {
  program
    .command('findings [service]')
    .description('What somebody should look at: missed turns, failed backups and proofs, damage, losses')
    .option('--days <number>', 'how far back', '7')
    .option('--json', 'print as JSON')
    .addHelpText('after', help)
    .action(action(async () => (await import('../findings.ts')).showFindings));
}
