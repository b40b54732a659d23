/**
 * The runbook engine: `advance(run, event) -> { run, commands }`, pure and total. It owns order, gates, modes, undo,
 * clocks and verdicts. It has no clock, no I/O and no randomness; three shells drive it: Temporal workflows, the
 * simulator and break-glass. Retries and time-outs inside one call are the shell's.
 */
import type { Plan, PlanStep } from './plan.ts';
import type { Command, Failure, Outcome, Run, RunEvent, StepState } from './run.ts';
import { applyOrder } from './operator.ts';
import {
  approve,
  beginStep,
  completeStep,
  confirm,
  failStep,
  onUnconfirmed,
  onUnsettled,
  perform,
  retryLater,
  skipStep,
} from './steps.ts';
import { beginTurn, finishRun, record, stamp, stateOf, stepOf, updateWaiting, type Turn } from './turn.ts';
import { beginUndo, continueUndo, onUndoFailed, onUndone } from './undo.ts';

export interface Advance {
  run: Run;
  commands: Command[];
}

/** A run of a plan before its first event. `id` is unique for ever, printable ASCII. */
export function newRun(id: string, plan: Plan): Run {
  const steps: Record<string, StepState> = {};
  for (const step of plan.steps) steps[step.id] = { ...emptyStep, approvals: [] };
  return {
    id,
    plan,
    status: 'running',
    mode: plan.mode,
    steps,
    clocks: {},
    measurements: [],
    outcome: null,
    reason: null,
    pastNoReturn: false,
    waitedForPeopleMs: 0,
    waitingSinceMs: null,
    seq: 0,
  };
}

const emptyStep = {
  status: 'pending',
  attempt: 0,
  startedAtMs: null,
  endedAtMs: null,
  confirms: 0,
  confirmOut: false,
  pending: null,
  failure: null,
  evidence: null,
  note: null,
} as const;

/** Takes one event. Events that come late, twice or for unknown steps change nothing but the record. */
export function advance(run: Run, event: RunEvent): Advance {
  if (run.status === 'finished') return { run, commands: [] };
  const turn = beginTurn(run, event);
  apply(turn, event);
  settle(turn);
  updateWaiting(turn);
  return { run: turn.run, commands: turn.commands };
}

function apply(turn: Turn, event: RunEvent): void {
  switch (event.kind) {
    case 'started':
      start(turn, event.clocks ?? {}, event.findings ?? []);
      return;
    case 'timer':
      onTimer(turn, event.timerId);
      return;
    case 'operator':
      applyOrder(turn, event);
      return;
    case 'answer':
      onAnswer(turn, event);
      return;
    default:
      onStepEvent(turn, event);
  }
}

function start(turn: Turn, clocks: Run['clocks'], findings: readonly string[]): void {
  const { plan } = turn.run;
  record(turn, 'run-started', null, {
    kind: plan.kind,
    service: plan.service,
    planHash: plan.hash,
    epoch: plan.epoch,
    mode: plan.mode,
  });
  for (const clock of ['fault', 'detected', 'declared'] as const) {
    const atMs = clocks[clock];
    if (atMs !== undefined) stamp(turn, clock, atMs);
  }
  stamp(turn, 'started');
  for (const text of findings) record(turn, 'finding', null, { text });
}

type StepEvent = Extract<RunEvent, { kind: `step-${string}` }>;

function onStepEvent(turn: Turn, event: StepEvent): void {
  const step = stepOf(turn.run, event.stepId);
  const state = turn.run.steps[event.stepId];
  if (step === undefined || state === undefined) return;
  if (state.status === 'undoing') onUndoEvent(turn, event);
  else if (isExpected(state, event)) onLiveEvent(turn, step, event);
  else record(turn, 'late', event.stepId, { event: event.kind, status: state.status });
}

/** While a step is read back only the answer that is out counts, but a late word that it is done is always welcome. */
function isExpected(state: StepState, event: StepEvent): boolean {
  if (state.status === 'performing') return true;
  return state.status === 'confirming' && (state.confirmOut || event.kind === 'step-done');
}

function onLiveEvent(turn: Turn, step: PlanStep, event: StepEvent): void {
  switch (event.kind) {
    case 'step-done':
      completeStep(turn, step, event.result);
      return;
    case 'step-not-yet':
      onUnsettled(turn, step, 'ordered', event.why);
      return;
    case 'step-unknown':
      if (stateOf(turn, step.id).status === 'confirming') onUnconfirmed(turn, step, 'unknown', event.why);
      else onUnsettled(turn, step, 'unknown', event.why);
      return;
    case 'step-failed':
      onFailed(turn, step, event.failure);
      return;
    case 'step-confirmed':
      if (event.verdict === 'done') completeStep(turn, step, event.result);
      else onUnconfirmed(turn, step, event.verdict, event.why);
  }
}

/** While a step is read back, a failing read-back says nothing about the step: it stays unknown. */
function onFailed(turn: Turn, step: PlanStep, failure: Failure): void {
  if (stateOf(turn, step.id).status === 'confirming') onUnconfirmed(turn, step, 'unknown', failure.message);
  else retryLater(turn, step, failure);
}

function onUndoEvent(turn: Turn, event: StepEvent): void {
  if (event.kind === 'step-done') onUndone(turn, event.stepId);
  else if (event.kind === 'step-failed') onUndoFailed(turn, event.stepId, event.failure);
  else if (event.kind !== 'step-confirmed')
    onUndoFailed(turn, event.stepId, { code: 'STEP_UNKNOWN', message: event.why, retryable: true });
}

function onTimer(turn: Turn, timerId: string): void {
  const step = stepOf(turn.run, timerId.replace(/^step:/, ''));
  if (step === undefined) return;
  const state = stateOf(turn, step.id);
  if (state.status === 'confirming' && !state.confirmOut) confirm(turn, step);
  else if (state.status === 'retrying' && step.verb === 'wait')
    completeStep(turn, step, { evidence: {}, measurements: [] });
  else if (state.status === 'retrying') perform(turn, step);
}

function onAnswer(turn: Turn, event: Extract<RunEvent, { kind: 'answer' }>): void {
  const step = stepOf(turn.run, event.stepId);
  if (step === undefined || turn.run.steps[event.stepId]?.status !== 'asking') {
    record(turn, 'late', event.stepId, { event: 'answer', by: event.by });
    return;
  }
  if (event.answer === 'approve') {
    approve(turn, step, event);
    return;
  }
  record(turn, 'declined', step.id, { by: event.by, why: event.why });
  const state = stateOf(turn, step.id);
  const failure: Failure = {
    code: 'OPERATOR_ABORTED',
    message: `declined by ${event.by}: ${event.why}`,
    retryable: false,
  };
  if (turn.run.pastNoReturn) {
    failStep(turn, { ...step, verb: 'approve', onFailure: 'pause', critical: true }, failure);
    return;
  }
  // What the judged or fenced step did stands in the world until its undo: it counts as done, and is taken back.
  state.status = step.verb === 'approve' ? 'failed' : 'done';
  state.failure = failure;
  state.endedAtMs = turn.atMs;
  beginUndo(turn, 'aborted', failure.message);
}

/** Starts everything that may start now; ends the run when nothing is left. */
function settle(turn: Turn): void {
  const { run } = turn;
  startReady(turn);
  if (run.status === 'undoing') continueUndo(turn, beginAlwaysSteps);
  else if (run.status === 'running' && run.plan.steps.every((step) => hasEnded(stateOf(turn, step.id))))
    finishRun(turn, goodOutcome(run), null);
}

function startReady(turn: Turn): void {
  const { run } = turn;
  let progress = true;
  while (progress && run.status === 'running') {
    progress = false;
    for (const step of run.plan.steps) {
      if (run.status !== 'running' || !isReady(turn, step)) continue;
      progress = true;
      if (step.modes.includes(run.mode)) beginStep(turn, step);
      else skipStep(turn, step, `only in ${step.modes.join(', ')} mode`);
    }
  }
}

function isReady(turn: Turn, step: PlanStep): boolean {
  if (stateOf(turn, step.id).status !== 'pending') return false;
  return step.after.every((id) => {
    const state = turn.run.steps[id];
    return state === undefined || hasEnded(state);
  });
}

/** A failed step only counts as ended once the plan or a person has decided to go on without it. */
function hasEnded(state: StepState): boolean {
  return state.status === 'done' || state.status === 'skipped' || state.status === 'failed';
}

/** The clean-up steps of a run that did not reach them by itself. */
function beginAlwaysSteps(turn: Turn): boolean {
  const waiting = turn.run.plan.steps.filter((step) => step.always && stateOf(turn, step.id).status === 'pending');
  for (const step of waiting) beginStep(turn, step);
  return waiting.length > 0;
}

function goodOutcome(run: Run): Outcome {
  if (run.plan.kind === 'drill') return 'completed';
  if (run.clocks.protected !== undefined) return 'protected';
  return run.clocks.promoted === undefined ? 'completed' : 'unprotected';
}
