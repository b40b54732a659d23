import {
  ApplicationFailure,
  ChildWorkflowFailure,
  defineSearchAttributeKey,
  TypedSearchAttributes,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import {
  CancellationScope,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  startChild,
  type ChildWorkflowOptions,
} from '@temporalio/workflow';
import type { Json, JsonObject } from './engine/plan.ts';

/** What a schedule starts: a workflow under its fixed id. */
export interface ScheduledInput {
  /** Of the schedule, e.g. `backup/shop/orders/vault`. */
  scheduleId: string;
  type: string;
  workflowId: string;
  args: JsonObject[];
  /** `''` for what is about a whole vault. */
  service: string;
  /** What lists and search show it as: `backup`, `restore-test`, ... */
  kind: string;
}

/** As the ledger keeps it. */
export interface ScheduleFinding {
  service: string;
  /** `schedule/<id>`: findings of a schedule belong together as those of a run do. */
  runId: string;
  stepId: null;
  severity: 'note' | 'warning' | 'critical';
  what: string;
  /** Unix milliseconds. */
  atMs: number;
}

/** `done`, with the verdict of what was done where it gives one; or why it was left out. */
export type ScheduledEnd = string;

type Activities = Record<'record finding', (finding: ScheduleFinding) => Promise<void>>;

/**
 * Starts the workflow that a schedule is about, under the id that it has whoever starts it, and waits for its end. While
 * one runs already (somebody started it by hand, or it takes longer than the interval) this one is left out, and says so.
 */
export async function scheduled(input: ScheduledInput): Promise<ScheduledEnd> {
  const { scheduleId, type, workflowId, service, kind } = input;
  return startOnce(
    { scheduleId, service },
    {
      type,
      workflowId,
      args: input.args,
      typedSearchAttributes: new TypedSearchAttributes([
        ...(service === '' ? [] : [{ key: defineSearchAttributeKey('DrService', 'KEYWORD'), value: service }]),
        { key: defineSearchAttributeKey('DrKind', 'KEYWORD'), value: kind },
      ]),
      staticSummary: `${scheduleId}, by its schedule`,
    },
  );
}

/** A child under a fixed id, awaited; one that runs already is a skip with a finding. */
export async function startOnce(
  of: { scheduleId: string; service: string },
  { type, ...options }: ChildWorkflowOptions & { type: string; workflowId: string; args: unknown[] },
): Promise<ScheduledEnd> {
  try {
    const child = await startChild(type, {
      ...options,
      // Ended from outside, it should end in order: what it holds (locks, scratch places) is its own to give back.
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    });
    return endOf((await child.result()) as Json | undefined);
  } catch (err) {
    if (isCutOff(err)) return skip(of, 'cut off', `${options.workflowId} was cancelled`);
    if (!(err instanceof WorkflowExecutionAlreadyStartedError)) throw asFailure(err);
    return skip(of, 'already running', `${options.workflowId} is still running, or was started by hand`);
  }
}

/** Somebody has cancelled the work, and not the turn. */
function isCutOff(err: unknown): boolean {
  return err instanceof ChildWorkflowFailure && isCancellation(err) && !CancellationScope.current().consideredCancelled;
}

/** Leaves a scheduled start out and lets somebody know. */
export async function skip(
  { scheduleId, service }: { scheduleId: string; service: string },
  why: string,
  detail: string,
): Promise<ScheduledEnd> {
  const { 'record finding': recordFinding } = proxyActivities<Activities>({
    startToCloseTimeout: 10_000,
    retry: { initialInterval: 500, backoffCoefficient: 2, maximumInterval: 60_000 },
    summary: 'tells that it was left out',
  });
  const what = `${scheduleId} was left out, ${why}: ${detail}`;
  const runId = `schedule/${scheduleId}`;
  await recordFinding({ service, runId, stepId: null, severity: 'warning', what, atMs: Date.now() });
  return `skipped: ${why}`;
}

/** What the workflows of protection and runs call what came of them. */
function endOf(result: Json | undefined): ScheduledEnd {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return 'done';
  const verdict = [result['verdict'], result['outcome'], result['status'], result['kind']].find(
    (word) => typeof word === 'string',
  );
  return verdict === undefined ? 'done' : `done: ${verdict}`;
}

/** The child's own failure, without the wrappings: it is what lists show. */
function asFailure(err: unknown): unknown {
  if (isCancellation(err)) return err;
  const cause = err instanceof ChildWorkflowFailure ? err.cause : err;
  if (cause instanceof ApplicationFailure) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return ApplicationFailure.create({ type: 'INTERNAL', message, nonRetryable: true });
}
