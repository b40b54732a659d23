import type { PlanStep } from './plan.ts';
import type { Failure, Outcome, StepState } from './run.ts';
import { tokenOf } from './token.ts';
import { finishRun, notify, record, stateOf, stepOf, type Turn } from './turn.ts';

const undoAttempts = 5;

/**
 * Starts to take the run back. Only before the point of no return; after it a run goes forward or waits. Steps that are
 * still out settle first: nothing is undone on a guess.
 */
export function beginUndo(turn: Turn, outcome: Outcome, reason: string): void {
  turn.run.status = 'undoing';
  turn.run.outcome = outcome;
  turn.run.reason = reason;
  record(turn, 'undoing', null, { outcome, reason });
  for (const step of turn.run.plan.steps) {
    const state = stateOf(turn, step.id);
    if (!step.always && (state.status === 'retrying' || state.status === 'asking')) retire(turn, step, state);
  }
}

/** A step that waits between attempts (or for a person) has nothing out: its last word stands. */
function retire(turn: Turn, step: PlanStep, state: StepState): void {
  state.status = state.evidence === null ? 'failed' : 'done';
  state.endedAtMs = turn.atMs;
  record(turn, 'step-retired', step.id, { as: state.status });
}

/** Orders the next undo, newest first, one at a time; then the clean-up steps; then the end. */
export function continueUndo(turn: Turn, beginAlways: (turn: Turn) => boolean): void {
  const { run } = turn;
  const out = Object.values(run.steps).some((s) =>
    ['performing', 'confirming', 'retrying', 'undoing'].includes(s.status),
  );
  if (out) return;
  const next = newestToUndo(turn);
  if (next !== null) {
    orderUndo(turn, next);
    return;
  }
  if (beginAlways(turn)) return;
  const stuck = Object.entries(run.steps).filter(([, s]) => s.status === 'undo-failed');
  for (const [id] of stuck) notify(turn, `${id} could not be undone: a person must look`);
  finishRun(turn, run.outcome ?? 'aborted', run.reason);
}

function newestToUndo(turn: Turn): PlanStep | null {
  let newest: PlanStep | null = null;
  let newestMs = -1;
  for (const step of turn.run.plan.steps) {
    const state = stateOf(turn, step.id);
    const touched = state.status === 'done' || (state.status === 'failed' && state.pending !== null);
    if (step.undo === null || !touched || (state.startedAtMs ?? 0) < newestMs) continue;
    newest = step;
    newestMs = state.startedAtMs ?? 0;
  }
  return newest;
}

function orderUndo(turn: Turn, step: PlanStep): void {
  const state = stateOf(turn, step.id);
  const undo = step.undo;
  if (undo === null) return;
  if (state.status !== 'undoing') state.attempt = 0;
  state.status = 'undoing';
  state.attempt += 1;
  record(turn, 'undo-started', step.id, { verb: undo.verb, attempt: state.attempt });
  const { resource, site } = step;
  const token = tokenOf(turn.run, step.id, true);
  const { attempt } = state;
  const timeoutMs = step.attemptMs;
  turn.commands.push({
    kind: 'perform',
    stepId: step.id,
    verb: undo.verb,
    resource,
    site,
    args: undo.args,
    token,
    attempt,
    timeoutMs,
  });
}

export function onUndone(turn: Turn, stepId: string): void {
  const state = stateOf(turn, stepId);
  state.status = 'undone';
  state.endedAtMs = turn.atMs;
  record(turn, 'undone', stepId);
}

/** Undos are idempotent and are repeated; one that will not succeed is named, never hidden. */
export function onUndoFailed(turn: Turn, stepId: string, failure: Failure): void {
  const state = stateOf(turn, stepId);
  const step = stepOf(turn.run, stepId);
  if (step !== undefined && state.attempt < undoAttempts) {
    orderUndo(turn, step);
    return;
  }
  state.status = 'undo-failed';
  state.failure = failure;
  state.endedAtMs = turn.atMs;
  record(turn, 'undo-failed', stepId, { ...failure });
}
