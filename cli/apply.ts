import { driverCatalogue } from '../activities/drivers/catalogue.ts';
import { loadEstate, type Estate } from '../runbooks/estate.ts';
import { protectionWorkflows } from '../runbooks/protection.ts';
import { applySchedules, compareSchedules } from '../worker/schedules/apply.ts';
import { hasDrift } from '../worker/schedules/diff.ts';
import { applyStanding, compareStanding, mustAct, type StandingStep } from '../worker/standing-orders.ts';
import { registerSearchAttributes } from '../worker/temporal.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { say, sayJson, style } from './output.ts';
import { drawSteps, stepsJson } from './schedule-steps.ts';

interface ApplyOptions {
  dryRun?: boolean;
  json?: boolean;
}

/** The estate that a command names, else the one that all commands speak of. */
export function estateFor(context: Context, file: string | undefined): Estate {
  return file === undefined ? context.estate() : loadEstate(file, driverCatalogue);
}

/** `muster apply` */
export async function apply(context: Context, options: ApplyOptions, file?: string): Promise<ExitCode> {
  const estate = estateFor(context, file);
  const client = await context.temporal();
  const steps = await compareSchedules(client, estate);
  const standing = await compareStanding(client, estate);
  const isDry = options.dryRun === true;
  if (options.json !== true) drawSteps(steps, standing);
  if (!isDry) await registerSearchAttributes(client, client.options.namespace);
  const applied = isDry ? [] : await applySchedules(client, steps, estate);
  if (!isDry) applied.push(...(await applyStanding(client, standing, estate)));
  const all = steps.length + standing.length;
  if (options.json === true) sayJson({ estate: estate.fileName, steps: stepsJson(steps, standing), applied });
  else if (isDry)
    say(hasDrift(steps) || mustAct(standing) ? 'dry run: nothing was done' : style.green('nothing to do'));
  else {
    say(style.green(applied.length === 0 ? 'nothing to do' : `applied: ${applied.length} of ${all}`));
    for (const line of newArchives(standing)) say(line);
  }
  return exitCodes.met;
}

/** Base backups from before an archive began do not lead into it. */
function newArchives(standing: readonly StandingStep[]): string[] {
  return standing
    .filter(({ kind, ordered }) => kind === 'start' && ordered?.workflowType === protectionWorkflows.archiveWal)
    .map(({ workflowId }) => {
      const [, service, resource] = workflowId.split('/');
      return `WAL of ${service}/${resource} is archived from now on; a base backup taken now leads into it: muster backups now ${service}/${resource}`;
    });
}
