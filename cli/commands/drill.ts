import { Option, type Command } from 'commander';
import { action } from '../command.ts';

export function addDrill(program: Command): void {
  program
    .command('drill [service]')
    .description('Prove that a failover would work')
    .addOption(
      new Option('--kind <kind>', 'isolated: promote a copy, touch nobody; live: move there and back')
        .choices(['isolated', 'live'])
        .default('isolated'),
    )
    .option('--by <name>', 'who orders it (default: $USER)')
    .option('--dry-run', 'show the plan and start nothing')
    .option('--detach', 'start it and return')
    .option('--json', 'print the run as JSON')
    .addHelpText('after', '\nExamples:\n  $ npx muster drill shop\n  $ npx muster drill shop --kind live')
    .action(action(async () => (await import('../drill.ts')).drill));
}
