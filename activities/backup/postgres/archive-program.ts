/** Program for `archive_command`; see `archive-command.ts`. */
import { archiveProgram } from './archive-command.ts';

const { exitCode, message } = await archiveProgram(process.argv.slice(2));
if (exitCode !== 0) console.error(message);
process.exitCode = exitCode;
