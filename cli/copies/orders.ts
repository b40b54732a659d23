import { copyOrderOf } from '../../runbooks/copies-orders.ts';
import { signalCopy, stopCopy } from '../../worker/copies.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, sayJson } from '../output.ts';

interface Flags {
  json?: boolean;
}

/** `muster copies pause` */
export async function pauseCopy(context: Context, flags: Flags, name = ''): Promise<ExitCode> {
  await signalCopy(await context.temporal(), known(context, name), 'pause');
  return told(flags, name, 'pauses');
}

/** `muster copies resume` */
export async function resumeCopy(context: Context, flags: Flags, name = ''): Promise<ExitCode> {
  await signalCopy(await context.temporal(), known(context, name), 'resume');
  return told(flags, name, 'goes on');
}

/** `muster copies stop` */
export async function stopTheCopy(context: Context, flags: Flags, name = ''): Promise<ExitCode> {
  await stopCopy(await context.temporal(), known(context, name));
  return told(flags, name, 'stopped');
}

/** A slip in a name should say so, not that nothing runs. */
function known(context: Context, name: string): string {
  return copyOrderOf(context.estate(), name, { mode: 'do', startedBy: '' }).name;
}

function told(flags: Flags, name: string, outcome: string): ExitCode {
  if (flags.json === true) sayJson({ name, outcome });
  else say(`copy ${name}: ${outcome}`);
  return exitCodes.met;
}
