import { type ObjectEvent, type PassResult, type PassRule } from '../activities/mover/run/pass.ts';
import { type Counts, type Progress } from '../activities/mover/run/progress.ts';
import { errorCatalogue } from '../workflows/engine/errors.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { note, say, style } from './output.ts';

/** Shows a copy while it runs: one line that is written over on a terminal, lines of JSON with `--json`. */
export interface CopyView {
  progress(progress: Progress): void;
  object(event: ObjectEvent): void;
  result(result: PassResult): ExitCode;
}

/** Names that are shown; the rest is counted. With `--json` all are told. */
export const mostNames = 20;

export function openCopyView(json: boolean, mode: PassRule['mode']): CopyView {
  const live = !json && process.stderr.isTTY;
  let shown = 0;
  const line = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  return {
    progress(progress) {
      if (json) line({ type: 'progress', ...progress });
      else if (live) drawLine(progressText(progress));
    },
    object(event) {
      if (json) return line({ type: 'object', ...event });
      if (event.kind === 'deleted') return;
      shown += 1;
      if (live) process.stderr.write('\r\u001b[2K');
      if (shown <= mostNames) say(eventText(event));
      else if (shown === mostNames + 1) say('  ... and more; --json names all of them');
    },
    result(result) {
      if (live) process.stderr.write('\r\u001b[2K');
      if (json) line({ type: 'result', ...result });
      else say(resultText(result));
      if (!json && result.kind === 'stopped') note(stoppedText(result));
      return exitOf(result, mode);
    },
  };
}

/** Writes over the line of progress. */
export function drawLine(text: string): void {
  process.stderr.write(`\r\u001b[2K${fitted(text, process.stderr.columns)}`);
}

/** What is wider than the terminal would leave lines behind. */
export function fitted(text: string, columns: number): string {
  return text.slice(0, (columns || 80) - 1);
}

/** 0 all is there, or a dry run said what is not; 1 stopped; 3 something was left out or differs; 4 the delete guard waits for a person. */
export function exitOf(result: PassResult, mode: PassRule['mode']): ExitCode {
  if (result.kind === 'stopped') return result.code === 'DELETE_GUARD' ? exitCodes.needsPerson : exitCodes.failed;
  const { failed, kept, archived, changing, onlySource, onlyTarget, different } = result.counts;
  if (mode === 'plan') return exitCodes.met;
  const left = failed + kept + archived + changing;
  const differs = mode === 'compare' ? onlySource + different + onlyTarget : 0;
  return left + differs > 0 ? exitCodes.objectivesMissed : exitCodes.met;
}

export function eventText(event: ObjectEvent): string {
  const key = JSON.stringify(event.key);
  if (event.kind === 'kept-extra') return `  kept ${key}: ${event.why}`;
  if (event.kind !== 'outcome') return `  ${event.kind} ${key}`;
  const { outcome } = event;
  switch (outcome.kind) {
    case 'failed':
      return `  ${style.red('failed')} ${key}: ${outcome.code}: ${outcome.message}`;
    case 'kept':
      return `  ${style.yellow('kept')} ${key}: the target's is ${outcome.why}`;
    case 'archived':
      return `  ${style.yellow('archived')} ${key}${outcome.restoring ? ', restore asked for' : ''}`;
    case 'copied':
      return outcome.notCarried.length > 0
        ? `  copied ${key} without ${outcome.notCarried.join(', ')}`
        : `  copied ${key}; its source told no checksum`;
    default:
      return `  ${outcome.kind} ${key}`;
  }
}

export function progressText({ counts, underWayBytes, rate, etaMs, paused, listed }: Progress): string {
  const bytes = counts.copiedBytes + underWayBytes;
  const parts = [
    `${counts.copied} of ${counts.wanted}${listed ? '' : '+'} objects`,
    `${sizeText(bytes)} of ${sizeText(counts.wantedBytes)}${listed ? '' : '+'}`,
    `${counts.sourceObjects} listed`,
  ];
  if (rate !== undefined)
    parts.push(`${sizeText(rate.bytesPerSecond)}/s, ${Math.round(rate.objectsPerSecond)} objects/s`);
  parts.push(etaMs === undefined ? 'ETA unknown' : `ETA ${durationText(etaMs)}`);
  if (paused !== undefined) parts.push(`waits: ${paused}`);
  return parts.join(' · ');
}

function resultText(result: PassResult): string {
  const { counts, elapsedMs } = result;
  const took = durationText(elapsedMs);
  const head =
    result.kind === 'complete'
      ? style.green('done')
      : result.kind === 'more'
        ? 'to be gone on with'
        : style.red('stopped');
  const listed = counts.sourceObjects + counts.targetObjects;
  const told = countsText(counts);
  const nothing = listed > 0 && told === nothingThere;
  return `${head} in ${took}: ${nothing ? `nothing to do; the filters leave out all ${listed} that were listed` : told}`;
}

/** Why a pass ended early, and the way out. */
export function stoppedText({ code, message }: Pick<PassResult & { kind: 'stopped' }, 'code' | 'message'>): string {
  const hint = code === 'ABORTED' ? 'Run it again; with --state it goes on where it was.' : errorCatalogue[code].hint;
  return `${style.red(`muster: ${code}`)}: ${message}\n  ${hint}`;
}

const nothingThere = 'nothing there';

export function countsText(counts: Counts): string {
  const words: [number, string][] = [
    [counts.copied, `copied (${sizeText(counts.copiedBytes)})`],
    [counts.same, 'the same'],
    [counts.deleted, 'deleted'],
    [counts.different, 'different'],
    [counts.onlySource, 'only at the source'],
    [counts.onlyTarget - counts.deleted, 'only at the target'],
    [counts.kept, 'kept as they were'],
    [counts.archived, 'archived'],
    [counts.changing, 'still changing'],
    [counts.gone, 'gone meanwhile'],
    [counts.failed, 'failed'],
    [counts.notCarried, 'copied without some of their properties'],
    [counts.sourceUntold, 'whose source told no checksum'],
    [counts.readBack, 'read again at the target'],
  ];
  const told = words.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return told.length === 0 ? nothingThere : told.join(', ');
}

export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function durationText(ms: number): string {
  const total = Math.round(ms / 1_000);
  if (total < 60) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const [hours, minutes] = [Math.floor(total / 3_600), Math.floor((total % 3_600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${total % 60} s`;
}
