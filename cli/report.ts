import path from 'node:path';
import { makeReport, writeReport } from '../console/make-report.ts';
import { renderText } from '../console/report/render-text.ts';
import { evidencePlaces } from '../worker/addresses.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { say, sayJson } from './output.ts';

interface ReportOptions {
  json?: boolean;
  service?: string;
  out?: string;
}

/** `muster report` */
export async function report(context: Context, options: ReportOptions, ...args: unknown[]): Promise<ExitCode> {
  const given = (args[0] as string[] | undefined) ?? [];
  const runIds = given.length > 0 ? given : [await lastRun(context, options.service)];
  const made = await makeReport(await context.ledger(), evidencePlaces(context.estate()), { runIds });
  const written = await writeReport(made, options.out ?? path.join(context.home, 'reports'), runIds[0] ?? 'report');
  if (options.json === true) sayJson(made);
  else {
    say(renderText(made));
    say(`\n${written.html}\n${written.json}`);
  }
  return made.verdict === 'passed' ? exitCodes.met : exitCodes.objectivesMissed;
}

async function lastRun(context: Context, named: string | undefined): Promise<string> {
  const service = context.service(named).name;
  const [last] = await (await context.ledger()).listRuns({ service });
  if (last === undefined) throw new MusterError('RUN_UNKNOWN', `service ${service} has had no run yet`);
  return last.runId;
}
