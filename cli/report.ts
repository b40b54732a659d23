import path from 'node:path';
import type { Command } from 'commander';
import { evidencePlaces } from '../worker/addresses.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { action } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { say, sayJson } from './output.ts';

interface ReportOptions {
  json?: boolean;
  service?: string;
  out?: string;
}

export function addReport(program: Command): void {
  program
    .command('report [runs...]')
    .description('Make the report of one run or of several that belong together (default: the last one)')
    .option('--service <name>', 'service whose last run is meant')
    .option('--out <dir>', 'where to write the page and the JSON (default: .muster/reports)')
    .option('--json', 'print the report as JSON instead of its headline')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx muster report\n  $ npx muster report failover-shop-20261120-081500-4f2a --out ./evidence\n  $ npx muster report --json > report.json',
    )
    .action(
      action<ReportOptions>(async (context, options, ...args) => {
        const given = (args[0] as unknown as string[] | undefined) ?? [];
        const { makeReport, writeReport } = await import('../console/make-report.ts');
        const { renderText } = await import('../console/report/render-text.ts');
        const ledger = context.ledger();
        const runIds = given.length > 0 ? given : [await lastRun()];
        const report = await makeReport(ledger, evidencePlaces(context.estate()), { runIds });
        const written = await writeReport(
          report,
          options.out ?? path.join(context.home, 'reports'),
          runIds[0] ?? 'report',
        );
        if (options.json === true) sayJson(report);
        else {
          say(renderText(report));
          say(`\n${written.html}\n${written.json}`);
        }
        return report.verdict === 'passed' ? exitCodes.met : exitCodes.objectivesMissed;

        async function lastRun(): Promise<string> {
          const service = context.service(options.service).name;
          const [last] = await ledger.listRuns({ service });
          if (last === undefined) throw new MusterError('RUN_UNKNOWN', `service ${service} has had no run yet`);
          return last.runId;
        }
      }),
    );
}
