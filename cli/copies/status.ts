import { copyOrderOf } from '../../runbooks/copies-orders.ts';
import { readCopy, readEndedCopy, type EndedCopy, type RunningCopy } from '../../worker/copies.ts';
import { toMusterError } from '../../workflows/engine/errors.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, sayJson, style } from '../output.ts';
import { formatAge, printable } from '../format.ts';
import { copyNow, countsText, exitOf, namedLines, progressText, type CopyNow } from './words.ts';

/** How far one copy is, or how the last one ended. */
export interface CopyShown {
  name: string;
  /** `unknown`: Temporal does not answer. */
  runs: 'yes' | 'no' | 'unknown';
  now: CopyNow | null;
  startedAt: string | null;
  startedBy: string | null;
  pieces: number | null;
  attempt: number | null;
  named: { key: string; what: string; why: string }[];
  last: EndedCopy | null;
  why: string | null;
}

/** `muster copies status`: of one copy, or of all. */
export async function showCopies(context: Context, flags: { json?: boolean }, name?: string): Promise<ExitCode> {
  const { copies } = context.estate();
  if (name !== undefined) copyOrderOf(context.estate(), name, { mode: 'do', startedBy: '' });
  const names = name === undefined ? Object.keys(copies) : [name];
  const shown = await Promise.all(names.map((one) => readShown(context, one)));
  if (flags.json === true) sayJson(shown);
  else if (shown.length === 0) say('the estate has no copies: add `copies` to muster.yaml');
  else for (const one of shown) draw(one);
  return shown
    .map(exitOfShown)
    .reduce((worst, exit) => (ranks.indexOf(exit) > ranks.indexOf(worst) ? exit : worst), exitCodes.met as ExitCode);
}

const ranks: readonly ExitCode[] = [exitCodes.met, exitCodes.partial, exitCodes.needsPerson, exitCodes.failed];

export async function readShown(context: Context, name: string): Promise<CopyShown> {
  const nothing = {
    now: null,
    startedAt: null,
    startedBy: null,
    pieces: null,
    attempt: null,
    named: [],
    last: null,
    why: null,
  };
  try {
    const client = await context.temporal();
    const running = await readCopy(client, name);
    if (running !== null) return { name, ...nothing, ...shownOf(running) };
    return { name, ...nothing, runs: 'no', last: await readEndedCopy(client, name) };
  } catch (err) {
    return { name, ...nothing, runs: 'unknown', why: toMusterError(err).message };
  }
}

function shownOf({ view, now, attempt, lastFailure }: RunningCopy): Omit<CopyShown, 'name' | 'last'> {
  return {
    ...{
      runs: 'yes',
      now: copyNow(view, now),
      attempt,
      why: lastFailure ?? (view === null ? 'no worker answers for it' : null),
    },
    startedAt: view === null ? null : new Date(view.startedAtMs).toISOString(),
    ...{ startedBy: view?.startedBy ?? null, pieces: view?.pieces ?? null },
    named: now !== null && now.stage !== 'measuring' ? now.named : (view?.named ?? []),
  };
}

function exitOfShown({ runs, last }: CopyShown): ExitCode {
  if (runs === 'unknown') return exitCodes.failed;
  if (runs === 'yes' || last === null) return exitCodes.met;
  if (last.result !== null) return exitOf(last.result);
  return last.how === 'CANCELLED' ? exitCodes.met : exitCodes.failed;
}

function draw(shown: CopyShown): void {
  const { name, runs, now, why, last, named, attempt } = shown;
  if (runs === 'yes') {
    say(`${style.bold(name)}  ${now === null ? 'under way' : progressText(now)}`);
    if (shown.startedAt !== null)
      say(style.dim(`  since ${shown.startedAt}, by ${shown.startedBy}; ${shown.pieces} pieces done`));
    if (now !== null) say(`  ${countsText(now.counts, 'do')}`);
    for (const line of namedLines(named, 10)) say(line);
  } else say(`${style.bold(name)}  ${runs === 'unknown' ? style.yellow('unknown') : lastText(last)}`);
  if (why !== null)
    say(`  ${style.yellow(attempt !== null && attempt > 1 ? `attempt ${attempt}, after` : 'note')}: ${printable(why)}`);
}

export function lastText(last: EndedCopy | null): string {
  if (last === null) return style.dim('not under way, and none has ended that Temporal remembers');
  const ago = `${formatAge((Date.now() - last.endedAtMs) / 1_000)} ago`;
  if (last.result === null) return `not under way; the last was ${last.how.toLowerCase()} ${ago}`;
  const { verdict, counts, mode, failure } = last.result;
  return `not under way; the last was ${verdict} ${ago}: ${failure === null ? countsText(counts, mode) : printable(failure)}`;
}
