import type { Gate, Json, PlanStep } from './plan.ts';
import type { Failure, StepResult, StepState } from './run.ts';
import { judge, worstRpoSeconds } from './measure.ts';
import { tokenOf } from './token.ts';
import { beginUndo } from './undo.ts';
import { notify, pauseRun, record, setTimer, stamp, stateOf, type Turn } from './turn.ts';

/** First wait before a read-back or a retry, milliseconds; doubles up to the longest. */
const shortestWaitMs = 50;
const longestWaitMs = 2_000;

export function backoffMs(times: number): number {
  return Math.min(shortestWaitMs * 2 ** Math.min(times, 10), longestWaitMs);
}

export function beginStep(turn: Turn, step: PlanStep): void {
  const state = stateOf(turn, step.id);
  state.startedAtMs = turn.atMs;
  state.failure = null;
  switch (step.verb) {
    case 'approve':
      ask(turn, step, step.gate ?? anyone('continue?'));
      return;
    case 'wait':
      state.status = 'retrying';
      record(turn, 'step-started', step.id);
      setTimer(turn, `step:${step.id}`, numberArg(step.args['seconds']) * 1000);
      return;
    case 'notify':
      notify(turn, typeof step.args['text'] === 'string' ? step.args['text'] : step.id);
      completeStep(turn, step, { evidence: {}, measurements: [] });
      return;
    default:
      perform(turn, step);
  }
}

function numberArg(value: Json | undefined): number {
  return typeof value === 'number' && value > 0 ? value : 0;
}

export function anyone(question: string): Gate {
  return { question, approvals: 1, approvers: [], preApprovedBy: null };
}

export function perform(turn: Turn, step: PlanStep): void {
  const state = stateOf(turn, step.id);
  // Set when the order goes out, not when it succeeds: a promotion that timed out may still have happened.
  if (step.effect === 'irreversible') turn.run.pastNoReturn = true;
  state.status = 'performing';
  state.attempt += 1;
  state.confirms = 0;
  state.confirmOut = false;
  state.pending = null;
  record(turn, 'step-started', step.id, { attempt: state.attempt });
  order(turn, step, 'perform');
}

export function confirm(turn: Turn, step: PlanStep): void {
  const state = stateOf(turn, step.id);
  state.status = 'confirming';
  state.confirms += 1;
  state.confirmOut = true;
  order(turn, step, 'confirm');
}

function order(turn: Turn, step: PlanStep, kind: 'perform' | 'confirm'): void {
  const { verb, resource, site, args } = step;
  const timeoutMs = Math.max(Math.min(step.attemptMs, remainingMs(turn, step)), 1_000);
  const attempt = stateOf(turn, step.id).attempt;
  const token = tokenOf(turn.run, step.id);
  turn.commands.push({ kind, stepId: step.id, verb, resource, site, args, token, attempt, timeoutMs });
}

function remainingMs(turn: Turn, step: PlanStep): number {
  const startedAtMs = stateOf(turn, step.id).startedAtMs ?? turn.atMs;
  return startedAtMs + step.withinMs - turn.atMs;
}

/** The step's perform said that it is on its way, or that nobody knows. Reads are simply repeated. */
export function onUnsettled(turn: Turn, step: PlanStep, pending: 'ordered' | 'unknown', why: string): void {
  const state = stateOf(turn, step.id);
  state.note = why;
  record(turn, pending === 'ordered' ? 'step-not-yet' : 'step-unknown', step.id, { why });
  if (step.effect === 'read') {
    retryLater(turn, step, { code: 'STEP_UNKNOWN', message: why, retryable: true });
    return;
  }
  state.pending = pending;
  if (pending === 'unknown') confirm(turn, step);
  else confirmLater(turn, step, 'STEP_TIMEOUT', why);
}

/** A read-back that did not say `done`. It is repeated until the step's deadline; a certain `not-yet` may be performed again. */
export function onUnconfirmed(turn: Turn, step: PlanStep, verdict: 'not-yet' | 'unknown', why: string): void {
  const state = stateOf(turn, step.id);
  state.note = why;
  if (verdict === 'not-yet' && state.pending === 'unknown' && step.repeatable && remainingMs(turn, step) > 0) {
    record(turn, 'step-absent', step.id, { why });
    perform(turn, step);
    return;
  }
  confirmLater(turn, step, verdict === 'unknown' ? 'STEP_UNKNOWN' : 'STEP_TIMEOUT', why);
}

function confirmLater(turn: Turn, step: PlanStep, code: Failure['code'], why: string): void {
  const state = stateOf(turn, step.id);
  state.status = 'confirming';
  state.confirmOut = false;
  if (remainingMs(turn, step) <= 0) {
    failStep(turn, step, { code, message: `${step.id}: ${why}`, retryable: true });
    return;
  }
  setTimer(turn, `step:${step.id}`, backoffMs(state.confirms));
}

/** A failure that certainly changed nothing: tried again while it may succeed and time is left. */
export function retryLater(turn: Turn, step: PlanStep, failure: Failure): void {
  const state = stateOf(turn, step.id);
  state.failure = failure;
  const waitMs = backoffMs(state.attempt);
  const givenUp = turn.run.status === 'undoing' && !step.always;
  if (givenUp || !failure.retryable || remainingMs(turn, step) <= waitMs) {
    failStep(turn, step, failure);
    return;
  }
  state.status = 'retrying';
  record(turn, 'step-retrying', step.id, { ...failure, waitMs });
  setTimer(turn, `step:${step.id}`, waitMs);
}

export function completeStep(turn: Turn, step: PlanStep, result: StepResult): void {
  const state = stateOf(turn, step.id);
  state.evidence = result.evidence;
  state.failure = null;
  state.pending = null;
  turn.run.measurements.push(...result.measurements);
  record(turn, 'step-read-back', step.id, {
    evidence: result.evidence,
    measurements: result.measurements as unknown as Json,
  });
  if (!passesJudgement(turn, step, result)) return;
  endStep(turn, step, state);
}

function endStep(turn: Turn, step: PlanStep, state: StepState): void {
  state.status = 'done';
  state.endedAtMs = turn.atMs;
  record(turn, 'step-done', step.id);
  if (step.clock !== null) stamp(turn, step.clock);
}

/** True when the step's figures meet their objective, or nobody has to be asked. A miss or an unknown figure opens its gate. */
function passesJudgement(turn: Turn, step: PlanStep, result: StepResult): boolean {
  if (step.judge === null || turn.run.status === 'undoing') return true;
  const figures = result.measurements.filter((m) => m.name === 'rpoSeconds');
  if (figures.length === 0 && turn.run.mode === 'graceful') return true;
  const actual = worstRpoSeconds(figures, [step.resource]);
  const verdict = judge(turn.run.plan.objectives.rpoSeconds, actual);
  record(turn, 'judged', step.id, { objective: 'rpo', ...verdict });
  if (verdict.kind === 'met') return true;
  const said =
    verdict.kind === 'missed'
      ? `the loss would be ${verdict.actual.toFixed(1)} s, ${verdict.by.toFixed(1)} s over the RPO of ${verdict.target} s`
      : `the loss is unknown, the RPO is ${verdict.target} s`;
  const gate = step.gate ?? anyone('accept this loss?');
  ask(turn, step, { ...gate, question: `${step.resource}: ${said}. ${gate.question}` });
  return false;
}

/** Opens a gate. Pre-approval answers it at once, by name. */
export function ask(turn: Turn, step: PlanStep, gate: Gate): void {
  const state = stateOf(turn, step.id);
  state.status = 'asking';
  state.note = gate.question;
  record(turn, 'asked', step.id, { question: gate.question, approvers: gate.approvers, approvals: gate.approvals });
  if (gate.preApprovedBy !== null) {
    approve(turn, step, { by: gate.preApprovedBy, why: 'approved beforehand' }, 1);
    return;
  }
  const { question, approvers, approvals } = gate;
  turn.commands.push({ kind: 'ask', stepId: step.id, question, approvers, approvals });
}

/** Counts distinct people; the step is done when enough have said yes. */
export function approve(
  turn: Turn,
  step: PlanStep,
  said: { by: string; why: string },
  needed = step.gate?.approvals ?? 1,
): void {
  const { by, why } = said;
  const state = stateOf(turn, step.id);
  if (!state.approvals.some((a) => a.by === by)) state.approvals.push({ by, why, atMs: turn.atMs });
  record(turn, 'approved', step.id, { by, why, have: state.approvals.length, needed });
  if (state.approvals.length < needed) return;
  if (state.failure !== null) {
    state.evidence = {
      ...state.evidence,
      riskAcceptedBy: state.approvals.map((a) => a.by),
      risk: state.failure.message,
    };
    state.failure = null;
  }
  endStep(turn, step, state);
}

/** The step has failed for good. What follows is the plan's choice, never more than it allows. */
export function failStep(turn: Turn, step: PlanStep, failure: Failure): void {
  const state = stateOf(turn, step.id);
  state.failure = failure;
  record(turn, 'step-failed', step.id, { ...failure });
  const undoing = turn.run.status === 'undoing';
  if (step.verb === 'fence' && step.gate !== null && turn.run.mode === 'ungraceful' && !undoing) {
    ask(turn, step, { ...step.gate, preApprovedBy: null, question: `${failure.message}. ${step.gate.question}` });
    return;
  }
  if (step.judge !== null && step.onFailure === 'pause' && !undoing && turn.run.mode === 'ungraceful') {
    const gate = step.gate ?? anyone('accept this loss?');
    ask(turn, step, {
      ...gate,
      question: `${step.resource}: the loss is unknown (${failure.message}). ${gate.question}`,
    });
    return;
  }
  state.status = 'failed';
  state.endedAtMs = turn.atMs;
  if (undoing || step.always) return;
  if (!step.critical || step.onFailure === 'skip') {
    record(turn, 'finding', step.id, { text: `${step.id} failed and the run went on: ${failure.message}` });
    return;
  }
  followFailure(turn, step, failure);
}

function followFailure(turn: Turn, step: PlanStep, failure: Failure): void {
  switch (step.onFailure) {
    case 'retry':
      notify(turn, `${step.id} has used up its time and is tried again: ${failure.message}`);
      reopenStep(turn, step, longestWaitMs);
      return;
    case 'ungraceful':
      if (turn.run.mode === 'graceful') goUngraceful(turn, failure.message);
      else pauseRun(turn, `${step.id}: ${failure.message}`);
      return;
    case 'abort':
      if (turn.run.pastNoReturn) pauseRun(turn, `${step.id}: ${failure.message} (past the point of no return)`);
      else beginUndo(turn, 'failed', `${step.id}: ${failure.message}`);
      return;
    default:
      pauseRun(turn, `${step.id}: ${failure.message}`);
  }
}

/** Gives a failed step a new budget. Whatever its last perform did is read back before it is performed again. */
export function reopenStep(turn: Turn, step: PlanStep, afterMs = 0): void {
  const state = stateOf(turn, step.id);
  const mustReadBack = step.effect !== 'read' && state.attempt > 0;
  state.status = mustReadBack ? 'confirming' : 'retrying';
  state.confirmOut = false;
  state.pending = mustReadBack ? 'unknown' : null;
  state.startedAtMs = turn.atMs + afterMs;
  state.endedAtMs = null;
  state.approvals = [];
  setTimer(turn, `step:${step.id}`, afterMs);
}

/** From here the source is not waited for any more: its own steps count as skipped, failed ones of it too. */
export function goUngraceful(turn: Turn, why: string): void {
  const { run } = turn;
  run.mode = 'ungraceful';
  run.status = 'running';
  run.reason = null;
  record(turn, 'go-ungraceful', null, { why });
  for (const step of run.plan.steps) {
    const state = stateOf(turn, step.id);
    if (state.status !== 'failed') continue;
    if (step.modes.includes('ungraceful')) reopenStep(turn, step);
    else skipStep(turn, step, 'only in graceful mode');
  }
}

export function skipStep(turn: Turn, step: PlanStep, note: string): void {
  const state = stateOf(turn, step.id);
  state.status = 'skipped';
  state.note = note;
  state.endedAtMs = turn.atMs;
  record(turn, 'step-skipped', step.id, { note });
}
