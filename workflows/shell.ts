/**
 * The Temporal shell of the engine: turns its commands into activities, timers and updates, and what comes of them into
 * events. It decides nothing.
 */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  TimeoutFailure,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import { advance, newRun } from './engine/advance.ts';
import { describeRun, phaseOf } from './describe.ts';
import { refuseOrder } from './engine/operator.ts';
import type { Plan } from './engine/plan.ts';
import type { PerformOutcome, VerbCall } from './engine/ports.ts';
import type { Command, OperatorCommand, Run, RunEvent } from './engine/run.ts';
import { viewOf, type Answer, type Order, type RunInput, type RunView } from './io.ts';
import * as messages from './messages.ts';
import { startRecorder, type Recorder } from './recorder.ts';

/** Task queue of the control plane; a site's agent polls `site-<name>`. */
export const controlQueue = 'muster-control';

const phaseKey = defineSearchAttributeKey('DrPhase', 'KEYWORD');
const outcomeKey = defineSearchAttributeKey('DrOutcome', 'KEYWORD');

interface Shell {
  run: Run;
  events: RunEvent[];
  recorder: Recorder;
  /** Calls made so far, so that each activity has an id of its own. */
  calls: Record<string, number>;
  phase: string;
}

type Undated = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, 'atMs'> : never) : never;

/** Runs one plan to its end. A bug in here fails the run with its message; it never leaves a stuck workflow task. */
export async function runPlan(input: RunInput, plan: Plan, runId: string): Promise<RunView> {
  try {
    return await CancellationScope.nonCancellable(() => drive(input, plan, runId));
  } catch (err) {
    if (err instanceof ApplicationFailure || isCancellation(err)) throw err;
    const message = err instanceof Error ? err.message : String(err);
    throw ApplicationFailure.create({
      type: 'INTERNAL',
      message,
      nonRetryable: true,
      ...(err instanceof Error && { cause: err }),
    });
  }
}

async function drive(input: RunInput, plan: Plan, runId: string): Promise<RunView> {
  const opened = { plan, startedAtMs: Date.now(), labels: input.labels };
  const recorder = startRecorder(runId, opened);
  const shell: Shell = { run: newRun(runId, plan), events: [], recorder, calls: {}, phase: '' };
  listen(shell);
  abortWhenCancelled(shell);
  const { clocks = {}, findings = [] } = input;
  post(shell, { kind: 'started', clocks, findings });
  while (shell.run.status !== 'finished') {
    await condition(() => shell.events.length > 0);
    for (const event of shell.events.splice(0)) take(shell, event);
    show(shell);
  }
  await recorder.finish(shell.run);
  await condition(allHandlersFinished);
  return viewOf(shell.run, recorder.pending());
}

function post(shell: Shell, event: Undated): void {
  shell.events.push({ ...event, atMs: Date.now() } as RunEvent);
}

function take(shell: Shell, event: RunEvent): void {
  const { run, commands } = advance(shell.run, event);
  shell.run = run;
  for (const command of commands) carryOut(shell, command);
}

function carryOut(shell: Shell, command: Command): void {
  switch (command.kind) {
    case 'perform':
    case 'confirm':
      void callVerb(shell, command);
      return;
    case 'set-timer':
      void wait(shell, command.timerId, command.afterMs);
      return;
    case 'record': {
      const { kind: _, ...line } = command;
      shell.recorder.add(line);
      return;
    }
    case 'ask':
      log.warn(`waiting for a person: ${command.question}`, { stepId: command.stepId });
      return;
    case 'notify':
      log.warn(command.text);
      return;
    case 'finish':
      log.info(`run ended: ${command.outcome}`, { reason: command.reason });
  }
}

async function wait(shell: Shell, timerId: string, afterMs: number): Promise<void> {
  await sleep(Math.max(afterMs, 1), { summary: timerId });
  post(shell, { kind: 'timer', timerId });
}

type CallCommand = Extract<Command, { kind: 'perform' | 'confirm' }>;

async function callVerb(shell: Shell, command: CallCommand): Promise<void> {
  const { stepId, kind } = command;
  try {
    const outcome = await schedule(shell, command);
    post(shell, kind === 'perform' ? performed(stepId, outcome) : confirmed(stepId, outcome));
  } catch (err) {
    post(shell, failed(stepId, err, shell.run));
  }
}

function schedule(shell: Shell, command: CallCommand): Promise<PerformOutcome> {
  const { kind, stepId, verb, resource, site, timeoutMs } = command;
  const name = kind === 'perform' ? `${verb} ${resource}` : `confirm ${verb} ${resource}`;
  const count = (shell.calls[`${kind} ${stepId}`] = (shell.calls[`${kind} ${stepId}`] ?? 0) + 1);
  const activities = proxyActivities<Record<string, (call: VerbCall) => Promise<PerformOutcome>>>({
    activityId: `${stepId}${kind === 'perform' ? '' : '/confirm'}${count === 1 ? '' : `/${count}`}`,
    taskQueue: site === null ? controlQueue : `site-${site}`,
    summary: `${site === null ? 'control plane' : `at ${site}`}${command.attempt > 1 ? `, attempt ${command.attempt}` : ''}`,
    scheduleToStartTimeout: Math.min(timeoutMs, 5_000),
    startToCloseTimeout: timeoutMs,
    heartbeatTimeout: Math.min(timeoutMs, 3_000),
    retry: { maximumAttempts: 1 },
  });
  const activity = activities[name];
  if (activity === undefined) throw ApplicationFailure.nonRetryable(`no activity ${name}`, 'INTERNAL');
  return activity({ op: kind, input: inputOf(shell.run, command) });
}

function inputOf(run: Run, command: CallCommand): VerbCall['input'] {
  const { steps, ...plan } = run.plan;
  const resource = plan.resources.find((r) => r.name === command.resource);
  if (resource === undefined)
    throw ApplicationFailure.nonRetryable(`no resource ${command.resource} in the plan`, 'INTERNAL');
  const evidence: VerbCall['input']['evidence'] = {};
  for (const step of steps) {
    const found = run.steps[step.id]?.evidence;
    if (step.resource === command.resource && found !== null && found !== undefined) evidence[step.id] = found;
  }
  const { stepId, verb, args, token, attempt, timeoutMs } = command;
  const common = { runId: run.id, clocks: run.clocks, plan: { ...plan, mode: run.mode } };
  return { ...common, stepId, verb, resource, args, evidence, token, attempt, timeoutMs };
}

function performed(stepId: string, outcome: PerformOutcome): Undated {
  switch (outcome.status) {
    case 'done':
      return { kind: 'step-done', stepId, result: { evidence: outcome.evidence, measurements: outcome.measurements } };
    case 'not-yet':
      return { kind: 'step-not-yet', stepId, why: outcome.why };
    case 'unknown':
      return { kind: 'step-unknown', stepId, why: outcome.why };
  }
}

function confirmed(stepId: string, outcome: PerformOutcome): Undated {
  if (outcome.status !== 'done') return { kind: 'step-confirmed', stepId, verdict: outcome.status, why: outcome.why };
  const result = { evidence: outcome.evidence, measurements: outcome.measurements };
  return { kind: 'step-confirmed', stepId, verdict: 'done', result };
}

/**
 * A MusterError says that nothing was changed. A call that no worker ever took certainly changed nothing either. All
 * else (time-out, lost worker, an error nobody foresaw) may have happened.
 */
function failed(stepId: string, err: unknown, run: Run): Undated {
  const cause = err instanceof ActivityFailure ? err.cause : err;
  if (cause instanceof TimeoutFailure && cause.timeoutType === 'SCHEDULE_TO_START') {
    const site = run.plan.steps.find((step) => step.id === stepId)?.site ?? 'control';
    const message = `no worker of ${site} took the step within its limit`;
    return { kind: 'step-failed', stepId, failure: { code: 'AGENT_UNREACHABLE', message, retryable: true } };
  }
  if (cause instanceof ApplicationFailure && cause.details?.[0] === 'nothing-changed') {
    const code = (cause.type ?? 'INTERNAL') as Extract<Undated, { kind: 'step-failed' }>['failure']['code'];
    return { kind: 'step-failed', stepId, failure: { code, message: cause.message, retryable: !cause.nonRetryable } };
  }
  const why =
    cause instanceof TimeoutFailure
      ? `the call timed out (${cause.timeoutType})`
      : cause instanceof Error
        ? cause.message
        : String(cause);
  return { kind: 'step-unknown', stepId, why };
}

function listen(shell: Shell): void {
  setHandler(messages.statusQuery, () => viewOf(shell.run, shell.recorder.pending()));
  setHandler(messages.accountQuery, () => ({ run: shell.run, ...shell.recorder.left() }));
  onOrder(shell, messages.pauseUpdate, 'pause', 'Hold the run: no new step starts. Args: by, why');
  onOrder(shell, messages.resumeUpdate, 'resume', 'Go on; failed steps are read back and tried again. Args: by, why');
  onOrder(shell, messages.skipUpdate, 'skip', 'Go on without a step. Args: by, why, stepId');
  onOrder(shell, messages.retryUpdate, 'retry', 'Try a failed step again. Args: by, why, stepId');
  onOrder(
    shell,
    messages.abortUpdate,
    'abort',
    'End the run and undo it, before its point of no return. Args: by, why',
  );
  onOrder(shell, messages.goUngracefulUpdate, 'go-ungraceful', 'Stop waiting for the source site. Args: by, why');
  const answer = (a: Answer): RunView => {
    const stepId = askedStep(shell.run, a);
    return heed(shell, { kind: 'answer', stepId: stepId ?? '', answer: a.answer, by: a.by, why: a.why });
  };
  setHandler(messages.answerUpdate, answer, {
    validator: (a) => refuse(refuseAnswer(shell.run, a)),
    description: 'Answer what the run asks. Args: answer (approve or decline), by, why, stepId when several are asked',
  });
}

function onOrder(shell: Shell, update: typeof messages.pauseUpdate, op: OperatorCommand, description: string): void {
  const handle = (order: Order): RunView => heed(shell, { kind: 'operator', op, ...order });
  setHandler(update, handle, { validator: (order) => refuse(refuseOrder(shell.run, { op, ...order })), description });
}

/** Takes a person's word at once, so that the answer shows what came of it; a bug becomes the update's failure, not the task's. */
function heed(shell: Shell, event: Undated): RunView {
  try {
    take(shell, { ...event, atMs: Date.now() } as RunEvent);
  } catch (err) {
    throw ApplicationFailure.nonRetryable(err instanceof Error ? err.message : String(err), 'INTERNAL');
  }
  // An event of nothing, so that the main loop wakes and shows the change.
  post(shell, { kind: 'timer', timerId: 'updated' });
  return viewOf(shell.run, shell.recorder.pending());
}

function refuse(why: string | null): void {
  if (why !== null) throw ApplicationFailure.nonRetryable(why, 'NOT_WAITING');
}

function askedStep(run: Run, answer: Answer): string | null {
  const asked = viewOf(run).asks.filter((ask) => answer.stepId === undefined || ask.stepId === answer.stepId);
  return asked.length === 1 ? (asked[0]?.stepId ?? null) : null;
}

function refuseAnswer(run: Run, answer: Answer): string | null {
  if (run.status === 'finished') return 'the run has ended';
  if (answer.by.trim() === '' || answer.why.trim() === '') return 'say who you are and why (--by, --why)';
  const stepId = askedStep(run, answer);
  if (stepId === null)
    return `the run asks ${
      viewOf(run)
        .asks.map((a) => a.stepId)
        .join(', ') || 'nothing'
    } now`;
  const gate = run.plan.steps.find((step) => step.id === stepId)?.gate;
  const approvers = gate?.approvers ?? [];
  if (approvers.length > 0 && !approvers.includes(answer.by))
    return `${answer.by} may not answer; ${approvers.join(', ')} may`;
  const twice = run.steps[stepId]?.approvals.some((a) => a.by === answer.by) ?? false;
  return twice ? `${answer.by} has answered already; another person must` : null;
}

function abortWhenCancelled(shell: Shell): void {
  const scope = workflowScope();
  scope.cancelRequested.catch(() => {
    post(shell, { kind: 'operator', op: 'abort', by: 'temporal', why: 'the workflow was cancelled' });
  });
}

/** The outermost scope: cancelling the workflow cancels it, and the run's own non-cancellable scope does not see it. */
function workflowScope(): CancellationScope {
  let scope = CancellationScope.current();
  while (scope.parent !== undefined) scope = scope.parent;
  return scope;
}

function show(shell: Shell): void {
  const phase = phaseOf(shell.run);
  setCurrentDetails(describeRun(shell.run));
  if (phase === shell.phase) return;
  shell.phase = phase;
  const outcome = shell.run.outcome;
  upsertSearchAttributes([
    { key: phaseKey, value: phase },
    ...(outcome === null ? [] : [{ key: outcomeKey, value: outcome }]),
  ]);
}
