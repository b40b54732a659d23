import type { Context } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import { runAndFollow, type RunOptions } from './run.ts';

/** `muster reprotect` */
export function reprotect(context: Context, options: RunOptions, service?: string): Promise<ExitCode> {
  return runAndFollow(context, options, service, { kind: 'reprotect' });
}
