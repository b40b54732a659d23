import { errorCatalogue, toMusterError, type ErrorCode } from '../workflows/engine/errors.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';

/** Colours only on a terminal that wants them (https://no-color.org). */
const colours = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const paint =
  (code: number) =>
  (text: string): string =>
    colours ? `\u001b[${code}m${text}\u001b[0m` : text;

export const style = {
  bold: paint(1),
  dim: paint(2),
  red: paint(31),
  green: paint(32),
  yellow: paint(33),
  blue: paint(34),
};

export function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/** Progress and warnings: never mixed into what a program reads. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function sayJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

const usageCodes: ReadonlySet<ErrorCode> = new Set([
  'CONFIG_INVALID',
  'ESTATE_INVALID',
  'RUNBOOK_INVALID',
  'PLAN_UNSAFE',
  'SERVICE_UNKNOWN',
  'SITE_UNKNOWN',
  'SECRET_MISSING',
  'SANDBOX_NOT_RUNNING',
  'SANDBOX_RUNNING',
]);

/** One clear error: what, where, and the way out. With `json` the same as an object on stdout. */
export function reportError(thrown: unknown, json: boolean): ExitCode {
  const err = toMusterError(thrown);
  const { hint } = errorCatalogue[err.code];
  if (json) sayJson({ error: { code: err.code, message: err.message, hint } });
  else note(`${style.red(`muster: ${err.code}`)}: ${err.message}\n  ${hint}`);
  if (err.code === 'INTERNAL' && thrown instanceof Error && process.env['MUSTER_DEBUG'] !== undefined)
    note(thrown.stack ?? '');
  return exitCodeOf(err.code);
}

/** The same for commands whose `--json` is a value a line. */
export function reportErrorLine(thrown: unknown, json: boolean): ExitCode {
  if (!json) return reportError(thrown, false);
  const { code, message } = toMusterError(thrown);
  process.stdout.write(`${JSON.stringify({ type: 'error', code, message, hint: errorCatalogue[code].hint })}\n`);
  return exitCodeOf(code);
}

/** How a command that failed with this code ends. */
export function exitCodeOf(code: ErrorCode): ExitCode {
  return usageCodes.has(code) ? exitCodes.usage : exitCodes.failed;
}

export function seconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}
