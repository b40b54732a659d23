import type { FindingRow } from '../worker/ledger/types.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { countOf } from './format.ts';
import { say, sayJson, style } from './output.ts';

interface FindingsOptions {
  days: string;
  json?: boolean;
}

const dayMs = 86_400_000;

/** `muster findings` */
export async function showFindings(context: Context, options: FindingsOptions, name?: string): Promise<ExitCode> {
  const days = Number(options.days);
  if (!(days > 0)) throw new MusterError('CONFIG_INVALID', `--days must be above 0, not "${options.days}"`);
  const service = name === undefined ? {} : { service: context.service(name).name };
  const found = await (await context.ledger()).findings({ ...service, sinceMs: Date.now() - days * dayMs });
  if (options.json === true) sayJson(found);
  else if (found.length === 0) say(`nothing was found in the last ${countOf(days, 'day')}`);
  else for (const finding of found) say(findingLine(finding));
  return exitCodes.met;
}

const colours = { critical: style.red, warning: style.yellow, note: style.dim };

/** `2026-11-21 05:00Z  critical  what, and which run found it`. */
function findingLine({ atMs, severity, what, runId, service }: FindingRow): string {
  const at = `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')}Z`;
  const whose = service === '' || what.includes(service) ? '' : `${service}: `;
  const by = runId === null || runId.startsWith('schedule/') ? '' : style.dim(`  (${runId})`);
  return `${at}  ${colours[severity](severity.padEnd(8))}  ${whose}${what}${by}`;
}

/** `2 critical, 1 warning`; empty when there is nothing that presses. */
export function pressingText(findings: readonly FindingRow[]): string {
  const count = (wanted: FindingRow['severity']): number =>
    findings.filter(({ severity }) => severity === wanted).length;
  const [critical, warnings] = [count('critical'), count('warning')];
  return [
    ...(critical > 0 ? [style.red(`${critical} critical`)] : []),
    ...(warnings > 0 ? [style.yellow(countOf(warnings, 'warning'))] : []),
  ].join(', ');
}
