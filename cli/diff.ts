import type { Command } from 'commander';
import { compareSchedules } from '../worker/schedules/apply.ts';
import { hasDrift } from '../worker/schedules/diff.ts';
import { compareStanding, mustAct } from '../worker/standing-orders.ts';
import { estateFor } from './apply.ts';
import { action } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { say, sayJson, style } from './output.ts';
import { drawSteps, stepsJson } from './schedule-steps.ts';

export function addDiff(program: Command): void {
  program
    .command('diff [estate]')
    .description(
      "Show where Temporal's schedules and what runs all the time are not what the estate asks for; changes nothing",
    )
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      `
Exit codes, as those of diff: 0 no difference; 1 there are differences, or it failed (a message says so);
2 wrong estate or configuration.

Examples:
  $ npx muster diff muster.yaml
  $ npx muster diff muster.yaml --json | jq '.steps[] | select(.step != "same")'`,
    )
    .action(
      action<{ json?: boolean }>(async (context, options, file) => {
        const estate = estateFor(context, file);
        const client = await context.temporal();
        const [steps, standing] = await Promise.all([
          compareSchedules(client, estate),
          compareStanding(client, estate),
        ]);
        const isDifferent = hasDrift(steps) || mustAct(standing);
        if (options.json === true)
          sayJson({ estate: estate.fileName, differs: isDifferent, steps: stepsJson(steps, standing) });
        else {
          drawSteps(steps, standing);
          if (!isDifferent) say(style.green('no difference'));
        }
        return isDifferent ? exitCodes.failed : exitCodes.met;
      }),
    );
}
