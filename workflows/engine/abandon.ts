import { finishRun, beginTurn, record } from './turn.ts';
import type { Command, Run } from './run.ts';

/**
 * The end of a run that was ended from outside, in the middle of whatever it did: nothing more is ordered, and steps stay
 * as they stood, since nobody knows what became of them. A run that has ended stays as it is.
 */
export function abandon(run: Run, { atMs, why }: { atMs: number; why: string }): { run: Run; commands: Command[] } {
  if (run.status === 'finished') return { run, commands: [] };
  const turn = beginTurn(run, { kind: 'timer', timerId: 'abandoned', atMs });
  record(turn, 'finding', null, { text: why });
  finishRun(turn, run.pastNoReturn ? 'failed' : 'aborted', why);
  return turn;
}
