import { newRun } from '../../workflows/engine/advance.ts';
import type { FinalState } from '../../worker/ledger/types.ts';
import type { Measurement } from '../../workflows/engine/measure.ts';
import type { ClockName, JsonObject, Mode, Plan } from '../../workflows/engine/plan.ts';
import type { Failure, Outcome, StepState, StepStatus } from '../../workflows/engine/run.ts';
import type { EventRow } from '../../worker/ledger/chain.ts';
import type { ReportRunInput } from './input.ts';

/** One run as the report looks at it: its plan, how it stands, and every figure it left. */
export interface Facts {
  input: ReportRunInput;
  plan: Plan;
  state: FinalState;
  /** In the order in which they were taken. */
  measurements: Measurement[];
}

export function factsOf(input: ReportRunInput): Facts {
  const { run, events } = input;
  const state = run.final ?? stateFromEvents(run.runId, run.plan, events);
  return { input, plan: run.plan, state, measurements: [...input.measurements, ...state.measurements] };
}

/** A run that never reached its end in the ledger (still going, or cut off) is told from its events. */
export function stateFromEvents(runId: string, plan: Plan, events: readonly EventRow[]): FinalState {
  const { plan: _plan, ...state } = newRun(runId, plan);
  state.seq = events.length;
  for (const event of events) {
    const step = event.stepId === null ? undefined : state.steps[event.stepId];
    if (step === undefined) applyToRun(state, event);
    else applyToStep(state, step, event);
  }
  return state;
}

function applyToRun(state: FinalState, { what, data }: EventRow): void {
  if (what === 'clock') state.clocks[data['clock'] as ClockName] = data['atMs'] as number;
  else if (what === 'go-ungraceful') state.mode = 'ungraceful' satisfies Mode;
  else if (what === 'paused') state.reason = textOf(data, 'reason');
  else if (what === 'finished') {
    state.status = 'finished';
    state.outcome = data['outcome'] as Outcome;
    state.reason = textOf(data, 'reason');
  }
}

const statusAfter: Record<string, StepStatus> = {
  'step-started': 'performing',
  asked: 'asking',
  'step-retrying': 'retrying',
  'step-done': 'done',
  'step-failed': 'failed',
  'step-skipped': 'skipped',
  'undo-started': 'undoing',
  undone: 'undone',
  'undo-failed': 'undo-failed',
};
const notes: ReadonlySet<string> = new Set(['step-not-yet', 'step-unknown', 'step-absent']);
const ends: ReadonlySet<string> = new Set(['step-done', 'step-failed', 'step-skipped', 'undone', 'undo-failed']);

function applyToStep(state: FinalState, step: StepState, { what, atMs, data }: EventRow): void {
  step.status = statusAfter[what] ?? step.status;
  if (what === 'step-started') {
    step.startedAtMs ??= atMs;
    step.attempt += 1;
  }
  if (ends.has(what)) step.endedAtMs = atMs;
  else if (statusAfter[what] !== undefined) step.endedAtMs = null;
  if (what === 'step-failed') step.failure = data as unknown as Failure;
  step.note =
    textOf(data, 'note') ?? textOf(data, 'question') ?? (notes.has(what) ? textOf(data, 'why') : null) ?? step.note;
  if (what === 'approved') step.approvals.push({ by: textOf(data, 'by') ?? '', why: textOf(data, 'why') ?? '', atMs });
  if (what !== 'step-read-back') return;
  step.evidence = data['evidence'] as JsonObject;
  state.measurements.push(...((data['measurements'] ?? []) as unknown as Measurement[]));
}

/** A text field of an event's data; null when it is none. */
export function textOf(data: JsonObject, field: string): string | null {
  const value = data[field];
  return typeof value === 'string' ? value : null;
}
