/** What the kinds of work that run all the time have in common: they rest and go on when told, and never grow too old. */
import {
  CancellationScope,
  condition,
  defineSignal,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';

export const pauseWork = defineSignal('pause');
export const resumeWork = defineSignal('resume');
/** Another site writes: what is under way is ended in order, and begun anew where the writer is now. */
export const followWriter = defineSignal('follow');

const phaseKey = defineSearchAttributeKey('DrPhase', 'KEYWORD');

export interface StandingWork<Answer> {
  /** How it begins. */
  isPaused: boolean;
  /** Whether it waits for a person although nobody has paused it. */
  isHeld?: () => boolean;
  /** A person lets it go on. */
  onResumed?: () => void;
  /** Called whenever the phase may have changed. @returns its name, and what people read in the Temporal UI */
  show: (isPaused: boolean) => { phase: string; details: string };
  /** One piece of work, cancelled when it is to rest. When it ends of itself the next is begun. */
  begin: () => Promise<Answer>;
  onEnded?: (answer: Answer) => void;
  /** What it failed with; throws what is to end the whole. */
  onFailed: (err: unknown) => void;
  /** Hands on to a new run of the workflow, before the history grows too long. */
  goOn: (isPaused: boolean) => Promise<never>;
}

/** Works until it is cancelled; what is under way then is heard out first. */
export async function keepWorking<Answer>(work: StandingWork<Answer>): Promise<never> {
  const control = { isPaused: work.isPaused, mustMove: false };
  setHandler(pauseWork, () => void (control.isPaused = true));
  setHandler(resumeWork, () => {
    control.isPaused = false;
    work.onResumed?.();
  });
  setHandler(followWriter, () => void (control.mustMove = true));
  const rests = (): boolean => control.isPaused || (work.isHeld?.() ?? false);
  for (;;) {
    const { phase, details } = work.show(control.isPaused);
    upsertSearchAttributes([{ key: phaseKey, value: phase }]);
    setCurrentDetails(details);
    control.mustMove = false;
    if (rests()) await condition(() => !rests());
    else await workUntil(work, () => control.isPaused || control.mustMove);
    if (workflowInfo().continueAsNewSuggested) await work.goOn(control.isPaused);
  }
}

async function workUntil<Answer>(
  { begin, onEnded, onFailed }: StandingWork<Answer>,
  mustEnd: () => boolean,
): Promise<void> {
  const scope = new CancellationScope();
  let isOver = false;
  const piece = scope.run(begin).finally(() => (isOver = true));
  piece.catch(() => undefined); // asked below
  try {
    await condition(() => isOver || mustEnd());
  } catch (err) {
    // Cancelled as a whole: what is under way is written down before the end.
    await piece.catch(() => undefined);
    throw err;
  }
  if (!isOver) scope.cancel();
  try {
    const answer = await piece;
    onEnded?.(answer);
  } catch (err) {
    if (!isCancellation(err)) onFailed(err);
    else if (!mustEnd()) throw err;
  }
}
