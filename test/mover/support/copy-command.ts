/** The commands of the mover and nothing else. */
import { Command } from 'commander';
import { addCopy } from '../../../cli/commands/copy.ts';
import { addLifecycle } from '../../../cli/commands/lifecycle.ts';
import { addMigrate } from '../../../cli/commands/migrate.ts';

const program = new Command('muster').exitOverride((err) => process.exit(err.exitCode === 0 ? 0 : 2));
addCopy(program);
addMigrate(program);
addLifecycle(program);
for (const command of program.commands) {
  for (const one of [command, ...command.commands]) one.exitOverride((err) => process.exit(err.exitCode === 0 ? 0 : 2));
}
await program.parseAsync();
