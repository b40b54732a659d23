import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import type { ActualSchedule } from '../worker/schedules/content.ts';
import { estateMark } from '../worker/schedules/desired.ts';
import { lastRunOf, type LastRun } from '../worker/schedules/last-run.ts';
import { setPaused } from '../worker/schedules/pause.ts';
import { inTurns, reached, readSchedule, readSchedules } from '../worker/schedules/read.ts';
import { action } from './command.ts';
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

const orders = {
  pause: { does: 'Let a schedule rest until it is resumed', done: 'paused' },
  resume: { does: 'Let a schedule go on, whoever paused it', done: 'resumed' },
  trigger: { does: 'Start a turn now; left out while one is running', done: 'started' },
} as const;
type Order = keyof typeof orders;

export function addSchedules(program: Command): void {
  const schedules = program
    .command('schedules')
    .description('What is done again and again, when next, and what came of it')
    .addHelpText(
      'after',
      `
Examples:
  $ npx muster schedules
  $ npx muster schedules pause backup/shop/orders/vault --why "the disk is being changed"
  $ npx muster schedules resume backup/shop/orders/vault
  $ npx muster schedules trigger restore-test/shop/orders/vault`,
    );
  schedules
    .command('list', { isDefault: true })
    .description('All of them, as a table; what `muster schedules` alone does')
    .option('--all', 'also those of other estate files')
    .option('--json', 'print as JSON')
    .action(action<SchedulesOptions>((context, options) => show(context, options)));
  for (const order of Object.keys(orders) as Order[]) {
    const command = schedules.command(`${order} <id>`).description(orders[order].does);
    if (order !== 'trigger') {
      command.option('--by <name>', 'who orders it (default: $USER)');
      command.option('--why <reason>', 'why; it is shown wherever the schedule is');
    }
    command
      .option('--json', 'print the schedule as JSON')
      .action(action<OrderOptions>((context, options, id) => carryOut(context, order, id ?? '', options)));
  }
}

async function show(context: Context, options: SchedulesOptions): Promise<ExitCode> {
  const client = await context.temporal();
  const { ours } = await readSchedules(client);
  const mark = options.all === true ? null : estateMark(context.estate());
  const meant = ours.filter(({ estate }) => mark === null || estate === mark);
  const rows = await inTurns(meant, async (schedule) => ({ schedule, last: await lastRunOf(client, schedule) }));
  if (options.json === true) sayJson(rows.map(({ schedule, last }) => scheduleJson(schedule, last)));
  else if (rows.length > 0) drawTable(rows.map(({ schedule, last }) => rowOf(schedule, last)));
  else say('no schedules: `muster apply` makes those that the estate asks for');
  return exitCodes.met;
}

async function carryOut(context: Context, order: Order, id: string, options: OrderOptions): Promise<ExitCode> {
  const client = await context.temporal();
  const by = options.by ?? process.env['USER'] ?? 'operator';
  const note = `${orders[order].done} by ${by}${options.why === undefined ? '' : `: ${options.why}`}`;
  const schedule =
    order === 'trigger' ? await startTurn(client, id) : await setPaused(client, id, order === 'pause', note);
  if (options.json === true) sayJson(scheduleJson(schedule, await lastRunOf(client, schedule)));
  else say(`${style.bold(id)} ${orders[order].done}`);
  return exitCodes.met;
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
