import type { ClockName, JsonObject, PlanStep } from './plan.ts';
import type { Command, Outcome, Run, RunEvent, StepState } from './run.ts';

/** One call of `advance`: a private copy of the run to change, and the commands gathered so far. */
export interface Turn {
  run: Run;
  commands: Command[];
  atMs: number;
  /** Steps whose state is a private copy already. */
  own: Set<string>;
}

/** What a turn may change is copied here or, step by step, in `stateOf`; the rest is shared with the run before. */
export function beginTurn(run: Run, event: RunEvent): Turn {
  const own = { ...run, steps: { ...run.steps }, clocks: { ...run.clocks }, measurements: [...run.measurements] };
  return { run: own, commands: [], atMs: event.atMs, own: new Set() };
}

/** Adds a line to the run's chain of records: gap-free numbers, later hashed by the ledger. */
export function record(turn: Turn, what: string, stepId: string | null, data: JsonObject = {}): void {
  turn.run.seq += 1;
  turn.commands.push({ kind: 'record', seq: turn.run.seq, atMs: turn.atMs, what, stepId, data });
}

export function notify(turn: Turn, text: string): void {
  turn.commands.push({ kind: 'notify', text });
}

export function setTimer(turn: Turn, timerId: string, afterMs: number): void {
  turn.commands.push({ kind: 'set-timer', timerId, afterMs });
}

export function stamp(turn: Turn, clock: ClockName, atMs = turn.atMs): void {
  turn.run.clocks[clock] = atMs;
  record(turn, 'clock', null, { clock, atMs });
}

/** The step's state, for reading and changing. */
export function stateOf(turn: Turn, stepId: string): StepState {
  const state = turn.run.steps[stepId];
  if (state === undefined) throw new RangeError(`step ${stepId} is not in the plan`);
  if (turn.own.has(stepId)) return state;
  turn.own.add(stepId);
  return (turn.run.steps[stepId] = { ...state, approvals: [...state.approvals] });
}

export function stepOf(run: Run, stepId: string): PlanStep | undefined {
  return run.plan.steps.find((step) => step.id === stepId);
}

/** Counts the time a run spends waiting for people, apart from the machines' time. */
export function updateWaiting(turn: Turn): void {
  const { run } = turn;
  const waits = run.status === 'paused' || Object.values(run.steps).some((state) => state.status === 'asking');
  if (waits && run.waitingSinceMs === null) run.waitingSinceMs = turn.atMs;
  if (!waits && run.waitingSinceMs !== null) {
    run.waitedForPeopleMs += turn.atMs - run.waitingSinceMs;
    run.waitingSinceMs = null;
  }
}

export function pauseRun(turn: Turn, reason: string): void {
  turn.run.status = 'paused';
  turn.run.reason = reason;
  record(turn, 'paused', null, { reason });
  notify(turn, `paused: ${reason}`);
}

export function finishRun(turn: Turn, outcome: Outcome, reason: string | null): void {
  turn.run.status = 'finished';
  turn.run.outcome = outcome;
  turn.run.reason = reason;
  updateWaiting(turn);
  record(turn, 'finished', null, { outcome, reason });
  turn.commands.push({ kind: 'finish', outcome, reason });
}
