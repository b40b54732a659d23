import type { Context } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import { runAndFollow, type RunOptions } from './run.ts';

interface DrillOptions extends RunOptions {
  kind: 'isolated' | 'live';
}

/** `muster drill` */
export function drill(context: Context, options: DrillOptions, service?: string): Promise<ExitCode> {
  return runAndFollow(context, options, service, { kind: 'drill', drillKind: options.kind });
}
