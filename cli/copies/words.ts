import {
  addCounts,
  type CopyAmount,
  type CopyBeat,
  type CopyCounts,
  type CopyRate,
  type CopyResult,
  type CopyVerdict,
  type CopyView,
  type NamedObject,
} from '../../workflows/engine/copying.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, style } from '../output.ts';
import { formatBytes, formatClock, formatCount, printable } from '../format.ts';

/** How far a copy is now, from what its workflow knows and what its activity told last. */
export interface CopyNow {
  phase: string;
  rule: string | null;
  counts: CopyCounts;
  toDo: CopyAmount | null;
  rate: CopyRate | null;
  etaSeconds: number | null;
  waits: string | null;
}

export function copyNow(view: CopyView | null, beat: CopyBeat | null): CopyNow | null {
  if (view === null) return null;
  const { phase, before, counts, toDo, legs, leg, rate, etaSeconds } = view;
  const about = { phase, rule: legs > 1 && leg !== '' ? leg : null, toDo };
  if (beat === null || phase === 'paused') return { ...about, counts, rate: null, etaSeconds: null, waits: null };
  const isNewer = beat.stage === 'copying' && phase === 'copying';
  return {
    ...{ ...about, waits: beat.waits, rate: beat.rate ?? rate },
    counts: isNewer ? addCounts(before, beat.counts) : counts,
    etaSeconds: isNewer ? (beat.etaSeconds ?? etaSeconds) : null,
  };
}

/** `copying  1,200 of 5,000 objects  1.2 GiB of 4.0 GiB  12.0 MiB/s  ETA 3:20`. */
export function progressText({ phase, rule, counts, toDo, rate, etaSeconds, waits }: CopyNow): string {
  const parts = [
    rule === null ? phase : `${phase} (${printable(rule)})`,
    `${formatCount(counts.copied)}${toDo === null ? '' : ` of ${formatCount(toDo.objects)}`} objects`,
    `${formatBytes(counts.copiedBytes)}${toDo === null ? '' : ` of ${formatBytes(toDo.bytes)}`}`,
    rate === null ? '' : `${formatBytes(rate.bytesPerSecond)}/s, ${rate.objectsPerSecond.toFixed(0)} objects/s`,
    phase === 'copying' ? `ETA ${etaSeconds === null ? 'unknown' : formatClock(etaSeconds)}` : '',
    waits === null ? '' : style.yellow(`waits: ${printable(waits)}`),
  ];
  return parts.filter((part) => part !== '').join('  ');
}

const counted: readonly [keyof CopyCounts, string][] = [
  ['same', 'the same'],
  ['deleted', 'deleted'],
  ['different', 'different'],
  ['onlySource', 'only at the source'],
  ['kept', 'kept as they were'],
  ['archived', 'archived'],
  ['changing', 'still changing'],
  ['gone', 'gone meanwhile'],
  ['failed', 'failed'],
  ['notCarried', 'copied without some of their properties'],
  ['sourceUntold', 'whose source told no checksum'],
  ['readBack', 'read again at the target'],
];

export function countsText(counts: CopyCounts, mode: CopyResult['mode']): string {
  const head = mode === 'do' ? `${formatCount(counts.copied)} copied (${formatBytes(counts.copiedBytes)})` : '';
  const wanted =
    mode === 'plan' && counts.wanted > 0
      ? [`${formatCount(counts.wanted)} to copy or move (${formatBytes(counts.wantedBytes)})`]
      : [];
  if (mode === 'plan' && counts.toDelete > 0) wanted.push(`${formatCount(counts.toDelete)} only at the target`);
  if (mode === 'compare' && counts.onlyTarget > 0) wanted.push(`${formatCount(counts.onlyTarget)} only at the target`);
  const rest = counted
    .filter(([name]) => counts[name] > 0)
    .map(([name, what]) => `${formatCount(counts[name])} ${what}`);
  const all = [head, ...wanted, ...rest].filter((text) => text !== '');
  return all.length === 0 ? 'nothing there' : all.join(', ');
}

export function namedLines(named: readonly NamedObject[], most: number): string[] {
  const lines = named
    .slice(0, most)
    .map(
      ({ key, what, why }) => `  ${what} ${printable(JSON.stringify(key))}${why === '' ? '' : `: ${printable(why)}`}`,
    );
  return named.length > most ? [...lines, `  ... ${named.length - most} more; --json names the first hundred`] : lines;
}

const verdictExits: Readonly<Record<CopyVerdict, ExitCode>> = {
  done: exitCodes.met,
  partial: exitCodes.partial,
  stopped: exitCodes.failed,
  guarded: exitCodes.needsPerson,
};

export function exitOf({ verdict }: Pick<CopyResult, 'verdict'>): ExitCode {
  return verdictExits[verdict];
}

const paints = { done: style.green, partial: style.yellow, stopped: style.red, guarded: style.red } as const;

export function sayResult(result: CopyResult): void {
  const { name, verdict, counts, mode, startedAtMs, endedAtMs, pieces, failure, named } = result;
  const took = formatClock((endedAtMs - startedAtMs) / 1_000);
  say(
    `${paints[verdict](verdict)} ${name} in ${took}, ${pieces === 1 ? '1 piece' : `${pieces} pieces`}: ${countsText(counts, mode)}`,
  );
  if (failure !== null) say(`  ${style.red(printable(failure))}`);
  for (const line of namedLines(named, mode === 'do' ? 10 : 40)) say(line);
}
