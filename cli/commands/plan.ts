import { Option, type Command } from 'commander';
import { action } from '../command.ts';

export function addPlan(program: Command): void {
  program
    .command('plan [service]')
    .description('Show what a run would do, compiled against the present; nothing is started')
    .addOption(
      new Option('--kind <kind>', 'kind of run')
        .choices(['failover', 'failback', 'reprotect', 'drill'])
        .default('failover'),
    )
    .option('--planned', 'the graceful failover')
    .option('--live', 'the live drill: there and back')
    .option('--runbook <file>', 'a hand-written runbook')
    .option('--mermaid', 'draw it as a Mermaid flowchart')
    .option('--json', 'print the plan as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx muster plan shop\n  $ npx muster plan shop --kind drill --live\n  $ npx muster plan shop --mermaid',
    )
    .action(action(async () => (await import('../plan.ts')).showPlan));
}
