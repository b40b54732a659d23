import { compareSchedules } from '../worker/schedules/apply.ts';
import { hasDrift } from '../worker/schedules/diff.ts';
import { compareStanding, mustAct } from '../worker/standing-orders.ts';
import { estateFor } from './apply.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { say, sayJson, style } from './output.ts';
import { drawSteps, stepsJson } from './schedule-steps.ts';

/** `muster diff` */
export async function diff(context: Context, options: { json?: boolean }, file?: string): Promise<ExitCode> {
  const estate = estateFor(context, file);
  const client = await context.temporal();
  const [steps, standing] = await Promise.all([compareSchedules(client, estate), compareStanding(client, estate)]);
  const isDifferent = hasDrift(steps) || mustAct(standing);
  if (options.json === true)
    sayJson({ estate: estate.fileName, differs: isDifferent, steps: stepsJson(steps, standing) });
  else {
    drawSteps(steps, standing);
    if (!isDifferent) say(style.green('no difference'));
  }
  return isDifferent ? exitCodes.failed : exitCodes.met;
}
