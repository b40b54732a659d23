import { type ReplicationFigures } from '../activities/mover/ledger/figures.ts';
import {
  type PairCounts,
  type PairEvent,
  type PairProgress,
  type PairResult,
  type Way,
} from '../activities/mover/pair/pair.ts';
import { type PairConflict } from '../activities/mover/pair/conflicts.ts';
import { type PassRule } from '../activities/mover/run/pass.ts';
import {
  countsText,
  drawLine,
  durationText,
  eventText,
  mostNames,
  progressText,
  sizeText,
  stoppedText,
} from './copy-view.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { note, say, style } from './output.ts';

/** Shows a two-way copy: as `CopyView` does, with an arrow for each direction. */
export interface PairView {
  progress(progress: PairProgress): void;
  event(event: PairEvent): void;
  figures(figures: Record<Way, ReplicationFigures>): void;
  result(result: PairResult): ExitCode;
  conflicts(list: { file: string; conflicts: number }): void;
}

const arrows: Readonly<Record<Way, string>> = { aToB: 'a → b', bToA: 'b → a' };

export function openPairView(json: boolean, mode: PassRule['mode']): PairView {
  const live = !json && process.stderr.isTTY;
  let shown = 0;
  const line = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  const clear = (): void => void (live && process.stderr.write('\r\u001b[2K'));
  return {
    progress(progress) {
      if (json) return line({ type: 'progress', ...progress });
      const text = `${arrows.aToB} ${progressText(progress.aToB)} | ${arrows.bToA} ${progressText(progress.bToA)}`;
      if (live) drawLine(text);
    },
    event(event) {
      const { kind, ...rest } = event;
      if (json) return line({ type: kind, ...rest });
      if (event.kind === 'object' && event.event.kind === 'deleted') return;
      shown += 1;
      clear();
      if (shown <= mostNames) say(textOf(event));
      else if (shown === mostNames + 1) say('  ... and more; --json names all of them');
    },
    figures(figures) {
      if (json) line({ type: 'figures', ...figures });
    },
    result(result) {
      clear();
      if (json) line({ type: 'result', ...result });
      else say(resultText(result));
      if (!json && result.kind === 'stopped') note(stoppedText(result));
      return exitOf(result, mode);
    },
    conflicts({ file, conflicts }) {
      if (!json && conflicts > 0) say(`${style.yellow(`${conflicts} in conflict`)}, listed in ${file}`);
    },
  };
}

function textOf(event: PairEvent): string {
  if (event.kind === 'object') return `  ${arrows[event.way]}${eventText(event.event)}`;
  const { conflict, winner } = event;
  const what = winner === undefined ? style.yellow('conflict') : `conflict, ${winner} wins`;
  return `  ${what} ${JSON.stringify(conflict.key)}: a ${stateText(conflict.a)}, b ${stateText(conflict.b)}`;
}

function stateText(state: PairConflict['a']): string {
  if (state === undefined) return 'deleted it';
  return `wrote ${sizeText(state.sizeBytes)} at ${new Date(state.lastModifiedMs).toISOString()}`;
}

function resultText({ kind, counts, elapsedMs }: PairResult): string {
  const head = kind === 'complete' ? style.green('done') : style.red('stopped');
  const common = [`${counts.agreed} agreed on`];
  if (counts.conflicts > 0) common.push(`${counts.conflicts} in conflict`);
  if (counts.resolved > 0) common.push(`${counts.resolved} decided by --conflicts`);
  if (counts.unsettled > 0) common.push(`${counts.unsettled} still changing`);
  const lines = (['aToB', 'bToA'] as const).map((way) => `  ${arrows[way]}: ${wayText(counts, way)}`);
  return [`${head} in ${durationText(elapsedMs)}: ${common.join(', ')}`, ...lines].join('\n');
}

function wayText(counts: PairCounts, way: Way): string {
  const { onlySource: _, onlyTarget: __, different: ___, same: ____, ...rest } = counts[way];
  const told = countsText({ ...rest, onlySource: 0, onlyTarget: counts[way].deleted, different: 0, same: 0 });
  return told === 'nothing there' ? 'nothing new' : told;
}

/** 0 both hold the same, or a dry run said what does not; 1 stopped; 3 conflicts or failures; 4 the delete guard. */
function exitOf(result: PairResult, mode: PassRule['mode']): ExitCode {
  if (result.kind === 'stopped') return result.code === 'DELETE_GUARD' ? exitCodes.needsPerson : exitCodes.failed;
  if (mode === 'plan') return exitCodes.met;
  const { aToB, bToA, conflicts, unsettled } = result.counts;
  const left = [aToB, bToA].reduce((sum, { failed, archived }) => sum + failed + archived, conflicts + unsettled);
  return left > 0 ? exitCodes.objectivesMissed : exitCodes.met;
}
