import type { Command } from 'commander';
import { driverCatalogue } from '../activities/drivers/index.ts';
import { loadEstate, type Estate } from '../runbooks/estate.ts';
import { applySchedules, compareSchedules } from '../worker/schedules/apply.ts';
import { hasDrift } from '../worker/schedules/diff.ts';
import { applyStanding, compareStanding, mustAct } from '../worker/standing-orders.ts';
import { registerSearchAttributes } from '../worker/temporal.ts';
import { action } from './command.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { say, sayJson, style } from './output.ts';
import { drawSteps, stepsJson } from './schedule-steps.ts';

interface ApplyOptions {
  dryRun?: boolean;
  json?: boolean;
}

export function addApply(program: Command): void {
  program
    .command('apply [estate]')
    .description(
      "Make Temporal's schedules, archives of WAL and replications what the estate asks for; repeating it changes nothing",
    )
    .option('--dry-run', 'show what would be done and do nothing')
    .option('--json', 'print what was done as JSON')
    .addHelpText(
      'after',
      `
What is paused stays paused: a failback or \`muster schedules resume\` takes it up again. Schedules that were made
from another estate file, or by somebody else, are never touched.

Examples:
  $ npx muster apply muster.yaml --dry-run
  $ npx muster apply muster.yaml`,
    )
    .action(action<ApplyOptions>((context, options, file) => apply(context, options, file)));
}

/** The estate that a command names, else the one that all commands speak of. */
export function estateFor(context: Context, file: string | undefined): Estate {
  return file === undefined ? context.estate() : loadEstate(file, driverCatalogue);
}

async function apply(context: Context, options: ApplyOptions, file: string | undefined): Promise<ExitCode> {
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
  else say(style.green(applied.length === 0 ? 'nothing to do' : `applied: ${applied.length} of ${all}`));
  return exitCodes.met;
}
