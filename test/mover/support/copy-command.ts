/** `muster copy` and nothing else. */
import { Command } from 'commander';
import { addCopy } from '../../../cli/copy.ts';

const program = new Command('muster').exitOverride((err) => process.exit(err.exitCode === 0 ? 0 : 2));
addCopy(program);
for (const command of program.commands) command.exitOverride((err) => process.exit(err.exitCode === 0 ? 0 : 2));
await program.parseAsync();
