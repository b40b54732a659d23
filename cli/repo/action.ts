import module from 'node:module';
import path from 'node:path';
import type { Command } from 'commander';
import { errorCatalogue, toMusterError } from '../../workflows/engine/errors.ts';
import type { ExitCode } from '../exit-codes.ts';
import { exitCodeOf, reportError } from '../output.ts';
import { Interruption, type Interrupted } from '../interrupt.ts';
import type { PasswordOptions } from './passwords.ts';
import { Screen } from './screen.ts';

/** Options that every `muster repo` command takes. */
export interface RepoOptions extends PasswordOptions {
  repo?: string;
  lockWait?: string;
  retryLock?: string;
  json?: boolean;
  quiet?: boolean;
}

/** One run of a command. */
export interface Session {
  options: RepoOptions;
  screen: Screen;
  interruption: Interruption;
  /** Said when it is stopped by Ctrl-C: what became of the work, and how to go on. */
  whenStopped: string;
}

/** The body of a command; `args` are those of the command line. */
export type Body<Options extends RepoOptions> = (
  session: Session,
  options: Options,
  args: readonly (string | readonly string[] | undefined)[],
) => Promise<ExitCode>;

/** An action of commander that runs a body: loaded when it is wanted, ended with one clear error or none. */
export function repoAction<Options extends RepoOptions>(
  load: () => Promise<Body<Options>>,
): (...all: unknown[]) => Promise<void> {
  return async (...all) => {
    shareCompileCache();
    const options = (all.at(-1) as Command).optsWithGlobals<Options>();
    const screen = new Screen({ json: options.json === true, quiet: options.quiet === true });
    const interruption = new Interruption(() => {
      screen.endProgress();
      screen.note('stopping … (Ctrl-C again ends it at once)');
    });
    const session: Session = { options, screen, interruption, whenStopped: 'nothing was changed' };
    try {
      const body = await load();
      const args = all.slice(0, -2) as (string | string[] | undefined)[];
      process.exitCode = await body(session, options, args);
    } catch (err) {
      screen.clear();
      if (interruption.interrupted !== null) return endStopped(session, interruption.interrupted);
      process.exitCode = report(err, screen);
    } finally {
      screen.clear();
      interruption.end();
    }
  };
}

/** Threads find compiled code only by the environment; without it each of them compiles the engine for itself. */
function shareCompileCache(): void {
  const folder = module.getCompileCacheDir();
  if (folder !== undefined) process.env['NODE_COMPILE_CACHE'] ??= path.dirname(folder);
}

/** What did not heed the signal may still run: nothing is waited for any more. */
function endStopped({ screen, whenStopped }: Session, why: Interrupted): never {
  if (screen.json) screen.value({ message_type: 'exit_error', code: why.exitCode, message: why.message });
  else if (why.exitCode !== brokenPipe) screen.note(`stopped: ${whenStopped}`);
  process.exit(why.exitCode);
}

const brokenPipe = 128 + 13;

function report(err: unknown, screen: Screen): ExitCode {
  if (!screen.json) return reportError(err, false);
  const { code, message } = toMusterError(err);
  const exitCode = exitCodeOf(code);
  const error = { code, message, hint: errorCatalogue[code].hint };
  screen.value({ message_type: 'exit_error', code: exitCode, message, error });
  return exitCode;
}
