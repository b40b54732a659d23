/**
 * `npm run bench:failover [-- --runs N]`: plays the game days N times, measures what the promises are about, and prints a
 * table and JSON. Medians; every game day must also agree with its own truth.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Report, RunReport } from '../console/report/model.ts';
import { peakOfCommand, playDay, type PlayedDay } from './game-day.ts';
import { stepOverheadMs } from './step-overhead.ts';

interface Figure {
  name: string;
  bound: string;
  unit: string;
  values: number[];
}

const { values: args } = parseArgs({ options: { runs: { type: 'string', default: '5' } } });
const runs = Number(args.runs);

const home = await mkdtemp(path.join(tmpdir(), 'muster-bench-'));
try {
  const overhead = await stepOverheadMs(runs);
  const lossDays = await playAll('site-loss', runs, home);
  const otherDays = [
    ...(await playAll('site-freeze', Math.ceil(runs / 2), home)),
    ...(await playAll('slow-link', Math.ceil(runs / 2), home)),
  ];
  print(figuresOf(lossDays, [...lossDays, ...otherDays], { overhead, cliMb: await peakOfCommand(['status'], home) }), [
    ...lossDays,
    ...otherDays,
  ]);
} finally {
  await rm(home, { recursive: true, force: true });
}

async function playAll(scenario: string, times: number, dir: string): Promise<PlayedDay[]> {
  const days: PlayedDay[] = [];
  for (let i = 0; i < times; i++) {
    days.push(await playDay(scenario, dir));
    process.stderr.write(`${scenario} ${i + 1}/${times}: ${days.at(-1)?.report.verdict}\n`);
  }
  return days;
}

function figuresOf(
  lossDays: PlayedDay[],
  all: PlayedDay[],
  { overhead, cliMb }: Record<'overhead' | 'cliMb', number[]>,
): Figure[] {
  const reports = lossDays.map((day) => day.report);
  const failover = (report: Report): RunReport | undefined => report.runs.find((run) => run.kind === 'failover');
  const failback = (report: Report): RunReport | undefined => report.runs.find((run) => run.kind === 'failback');
  const of = (value: (report: Report) => number | null | undefined): number[] =>
    reports.map(value).filter((v): v is number => typeof v === 'number');
  const sinceClock = (run: RunReport | undefined, from: string, atMs: number | null | undefined): number | null => {
    const start = run?.clocks.find((clock) => clock.name === from)?.atMs;
    return start === undefined || start === null || atMs === null || atMs === undefined ? null : (atMs - start) / 1000;
  };
  const clockOf = (run: RunReport | undefined, name: string): number | null =>
    run?.clocks.find((clock) => clock.name === name)?.atMs ?? null;
  return [
    {
      name: 'unplanned: run start to first acknowledged write at the other site',
      bound: '<= 2 (aim 0.8)',
      unit: 's',
      values: of((r) => sinceClock(failover(r), 'started', failover(r)?.writeGap?.firstAckAfterMs)),
    },
    {
      name: 'fault to detected by two vantage points',
      bound: '<= 5',
      unit: 's',
      values: of((r) => sinceClock(failover(r), 'fault', clockOf(failover(r), 'detected'))),
    },
    {
      name: 'fault to first acknowledged write at the other site (hold 2 s)',
      bound: '<= 5 (aim 2.5)',
      unit: 's',
      values: of((r) => sinceClock(failover(r), 'fault', failover(r)?.writeGap?.firstAckAfterMs)),
    },
    {
      name: 'planned failback: write gap as clients saw it',
      bound: '<= 1 (aim 0.3)',
      unit: 's',
      values: of((r) => failback(r)?.writeGap?.seconds),
    },
    {
      name: 'planned failback: rows lost',
      bound: '0',
      unit: 'rows',
      values: all.map((day) => day.report.loss.notListed.length),
    },
    { name: 'engine and Temporal overhead per step', bound: '<= 40 (aim 15)', unit: 'ms', values: overhead },
    {
      name: 'rejoin of the old primary by a fresh clone, whole step',
      bound: '>= 300 MB/s',
      unit: 's',
      values: of((r) => secondsOfStep(r, 'reprotect', 'rejoin-orders')),
    },
    {
      name: 'rejoin after a planned move',
      bound: '<= 2',
      unit: 's',
      values: of((r) => secondsOfStep(r, 'failback', 'rejoin-orders')),
    },
    {
      name: 'peak memory of the worker',
      bound: '<= 350 with the cli',
      unit: 'MB',
      values: lossDays.flatMap((day) => (day.workerMb === null ? [] : [day.workerMb])),
    },
    { name: 'peak memory of the cli (`muster status`)', bound: '<= 350 with the worker', unit: 'MB', values: cliMb },
  ];
}

function secondsOfStep(report: Report, kind: string, id: string): number | null {
  const ms = report.runs.find((run) => run.kind === kind)?.steps.find((step) => step.id === id)?.durationMs;
  return ms === null || ms === undefined ? null : ms / 1000;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function print(figures: Figure[], days: PlayedDay[]): void {
  process.stdout.write(
    `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB\n\n| figure | bound | median | min – max | n |\n|---|---|---|---|---|\n`,
  );
  for (const { name, bound, unit, values } of figures) {
    const show = (value: number): string => (unit === 'rows' || unit === 'MB' ? value.toFixed(0) : value.toFixed(2));
    const range = values.length === 0 ? '' : `${show(Math.min(...values))} – ${show(Math.max(...values))}`;
    process.stdout.write(
      `| ${name} | ${bound} ${unit} | ${values.length === 0 ? 'not measured' : `${show(median(values))} ${unit}`} | ${range} | ${values.length} |\n`,
    );
  }
  const honest = days.filter((day) => day.report.truth?.agrees === true).length;
  process.stdout.write(
    `| every game day agrees with its truth | all | ${honest} of ${days.length} | | ${days.length} |\n\n`,
  );
  process.stdout.write(
    `${JSON.stringify({ figures: figures.map((f) => ({ ...f, median: median(f.values) })), honest, days: days.length })}\n`,
  );
  if (honest < days.length) process.exitCode = 1;
}
