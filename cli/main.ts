import { Command } from 'commander';
import { software } from '../worker/software.ts';
import { groupsFor } from './command-groups.ts';
import { exitCodes, exitCodesHelp } from './exit-codes.ts';

const program = new Command('muster')
  .description('Fails services over, brings them home, drills it, and proves what it cost')
  .version(software.replace(/^muster /, ''))
  .showHelpAfterError('(--help shows what there is)')
  .addHelpText('after', exitCodesHelp)
  .addHelpText(
    'after',
    '\nCompiled code is kept in the cache of the user (MUSTER_CACHE moves it); NODE_DISABLE_COMPILE_CACHE=1 keeps none.',
  )
  .exitOverride((err) => process.exit(err.exitCode === 0 ? exitCodes.met : exitCodes.usage));

for (const { load } of groupsFor(process.argv.slice(2))) (await load())(program);
for (const command of program.commands)
  command.exitOverride((err) => process.exit(err.exitCode === 0 ? exitCodes.met : exitCodes.usage));

await program.parseAsync();
