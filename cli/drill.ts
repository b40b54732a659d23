import { Option, type Command } from 'commander';
import { action } from './command.ts';
import { runAndFollow, runKindsHelp, type RunOptions } from './run.ts';

interface DrillOptions extends RunOptions {
  kind: 'isolated' | 'live';
}

export function addDrill(program: Command): void {
  program
    .command('drill [service]')
    .description(runKindsHelp.drill)
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
    .action(
      action<DrillOptions>((context, options, service) =>
        runAndFollow(context, options, service, { kind: 'drill', drillKind: options.kind }),
      ),
    );
}
