import type { Client } from '@temporalio/client';
import type { ActualSchedule } from '../worker/schedules/content.ts';
import { estateMark } from '../worker/schedules/desired.ts';
import { lastRunOf, type LastRun } from '../worker/schedules/last-run.ts';
import { setPaused } from '../worker/schedules/pause.ts';
import { inTurns, reached, readSchedule, readSchedules } from '../worker/schedules/read.ts';
import type { Body } from './command.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { say, sayJson, style } from './output.ts';

interface SchedulesOptions {
  all?: boolean;
  json?: boolean;
}
interface OrderOptions {
  by?: string;
  why?: string;
  json?: boolean;
}

const done = { pause: 'paused', resume: 'resumed', trigger: 'started' } as const;

/** `muster schedules list` */
export async function listSchedules(context: Context, options: SchedulesOptions): Promise<ExitCode> {
  const client = await context.temporal();
  const { ours } = await readSchedules(client);
  const mark = options.all === true ? null : estateMark(context.estate());
  const meant = ours.filter(({ estate }) => mark === null || estate === mark);
  const rows = await inTurns(meant, async (schedule) => ({ schedule, last: await lastRunOf(client, schedule) }));
  if (options.json === true) sayJson(rows.map(({ schedule, last }) => scheduleJson(schedule, last)));
  else if (rows.length > 0) drawTable(rows.map(({ schedule, last }) => rowOf(schedule, last)));
  else if (ours.length === 0) say('no schedules: `muster apply` makes those that the estate asks for');
  else
    say(
      `no schedules of ${mark}: \`muster apply\` makes them; ${ours.length} of other estate files are shown by --all`,
    );
  return exitCodes.met;
}

/** `muster schedules pause`, `resume` and `trigger` */
export function carryOut(order: keyof typeof done): Body<OrderOptions> {
  return async (context, options, id = '') => {
    const client = await context.temporal();
    const by = options.by ?? process.env['USER'] ?? 'operator';
    const note = `${done[order]} by ${by}${options.why === undefined ? '' : `: ${options.why}`}`;
    const schedule =
      order === 'trigger' ? await startTurn(client, id) : await setPaused(client, id, order === 'pause', note);
    if (options.json === true) sayJson(scheduleJson(schedule, await lastRunOf(client, schedule)));
    else say(`${style.bold(id)} ${done[order]}`);
    return exitCodes.met;
  };
}

async function startTurn(client: Client, id: string): Promise<ActualSchedule> {
  await readSchedule(client, id);
  await reached(() => client.schedule.getHandle(id).trigger('SKIP'));
  return readSchedule(client, id);
}

function scheduleJson({ id, estate, subject, paused, note, turns }: ActualSchedule, last: LastRun): unknown {
  return { id, estate, ...subject, paused, note, turns, last };
}

const head = ['id', 'every', 'next', 'last result', ''];

function rowOf({ id, subject, turns, paused, note }: ActualSchedule, last: LastRun): string[] {
  const next = paused || turns.nextAtMs === null ? '–' : timeText(turns.nextAtMs);
  const counts = [
    turns.missed > 0 ? `${turns.missed} missed` : '',
    turns.skipped > 0 ? `${turns.skipped} left out` : '',
  ];
  const remarks = [paused ? style.yellow(`paused${note === '' ? '' : ` (${note})`}`) : '', ...counts];
  return [id, subject.every, next, lastText(last), remarks.filter((text) => text !== '').join(', ')];
}

function lastText(last: LastRun): string {
  switch (last.kind) {
    case 'none':
      return style.dim('none yet');
    case 'running':
      return style.blue(`running since ${timeText(last.sinceMs)}`);
    case 'ended':
      return `${/^done(: (complete|proven|intact|completed|protected))?$/.test(last.end) ? style.green(last.end) : style.yellow(last.end)}, ${timeText(last.endedAtMs)}`;
    case 'failed':
      return `${style.red(`failed: ${last.why}`)}, ${timeText(last.endedAtMs)}`;
    case 'forgotten':
      return style.dim(`started ${timeText(last.takenAtMs)}, forgotten by Temporal`);
  }
}

/** Minutes are what a schedule is about; UTC, as in the estate. */
function timeText(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')}Z`;
}

function drawTable(rows: readonly string[][]): void {
  const all = [head.map((name) => style.dim(name)), ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => visible(row[column] ?? ''))));
  for (const row of all)
    say(
      row
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - visible(cell)))
        .join('  ')
        .trimEnd(),
    );
}

function visible(text: string): number {
  return text.replaceAll(/\u001b\[\d+m/g, '').length;
}
