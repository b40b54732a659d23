import type { Command } from 'commander';
import type { Context } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import { reportError } from './output.ts';

/** The body of a command; `args` are those of the command line, undefined where an optional one is not given. */
export type Body<Options> = (context: Context, options: Options, ...args: (string | undefined)[]) => Promise<ExitCode>;

/** The body of a command that needs no estate, no ledger and no Temporal; its required `args` are always given. */
export type LoneBody<Options> = (options: Options, ...args: string[]) => Promise<ExitCode>;

/** What commander calls. */
type Action = (...all: unknown[]) => Promise<void>;

/**
 * An action of commander that loads a body when it is asked for, runs it with a context and closes what that opened.
 * Help and wrong usage load no body.
 */
export function action<Options extends { json?: boolean }>(load: () => Promise<Body<Options>>): Action {
  return settle<Options>(async (options, args) => {
    const [body, { openContext }] = await Promise.all([load(), import('./context.ts')]);
    const context = openContext();
    try {
      return await body(context, options, ...args);
    } finally {
      await context.close();
    }
  });
}

/** As `action`, of a command that stands alone. @param report tells what was thrown, and how the command ends */
export function loneAction<Options extends { json?: boolean }>(
  load: () => Promise<LoneBody<Options>>,
  report: Report = reportError,
): Action {
  return settle<Options>(async (options, args) => (await load())(options, ...(args as string[])), report);
}

type Report = (thrown: unknown, json: boolean) => ExitCode;

/** Turns what is thrown into one clear error, and the end into the exit code. */
function settle<Options extends { json?: boolean }>(
  run: (options: Options, args: (string | undefined)[]) => Promise<ExitCode>,
  report: Report = reportError,
): Action {
  return async (...all) => {
    const options = (all.at(-1) as Command).opts<Options>();
    try {
      process.exitCode = await run(options, all.slice(0, -2) as (string | undefined)[]);
    } catch (err) {
      process.exitCode = report(err, options.json === true);
    }
  };
}
