import type { Command } from 'commander';
import { openContext, type Context } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import { reportError } from './output.ts';

/** Runs a command's body with a context, closes what it opened, and turns what it throws into one clear error. */
export function action<Options extends { json?: boolean }>(
  body: (context: Context, options: Options, ...args: (string | undefined)[]) => Promise<ExitCode>,
): (...all: unknown[]) => Promise<void> {
  return async (...all) => {
    const command = all.at(-1) as Command;
    const options = command.opts<Options>();
    const context = openContext();
    try {
      process.exitCode = await body(context, options, ...(all.slice(0, -2) as (string | undefined)[]));
    } catch (err) {
      process.exitCode = reportError(err, options.json === true);
    } finally {
      await context.close();
    }
  };
}
