import { WorkflowExecutionAlreadyStartedError, type Client } from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { MusterError } from '../workflows/engine/errors.ts';
import type { ClockName, Plan, RunKind } from '../workflows/engine/plan.ts';
import type { RunInput, RunLabels, RunView } from '../workflows/io.ts';

/** Task queue of the control plane's worker. */
export const controlQueue = 'muster-control';

const keyword = (name: string): ReturnType<typeof defineSearchAttributeKey<'KEYWORD'>> =>
  defineSearchAttributeKey(name, 'KEYWORD');

export interface StartRequest {
  /** Also the workflow type; a live drill is a `drill` of two plans, there and back. */
  kind: RunKind;
  plans: Plan[];
  startedBy: string;
  labels: RunLabels;
  clocks?: Partial<Record<ClockName, number>>;
  /** Markdown for the Temporal UI, e.g. the drawn plan. */
  details?: string;
  /** What somebody should know of the time before it began. */
  findings?: string[];
}

export interface StartedRun {
  runId: string;
  workflowId: string;
  /** Temporal's own id of the execution. */
  executionId: string;
  result(): Promise<RunView>;
}

/** One run at a time for each service: Temporal itself refuses a second start of this id. */
export function workflowIdOf(service: string): string {
  return `service/${service}`;
}

/** Unique and sortable: `failover-shop-20261120-081500-4f2a`. */
export function newRunId(kind: RunKind, service: string, now = new Date()): string {
  const stamp = now.toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${kind}-${service}-${stamp}-${crypto.randomUUID().slice(0, 4)}`;
}

/** @throws MusterError RUN_ACTIVE with the id of the run that is in the way. */
export async function startRun(client: Client, request: StartRequest): Promise<StartedRun> {
  const [plan] = request.plans;
  if (plan === undefined) throw new MusterError('RUNBOOK_INVALID', 'a run needs a plan');
  const runId = newRunId(request.kind, plan.service);
  const workflowId = workflowIdOf(plan.service);
  const input: RunInput = {
    runId,
    plans: request.plans,
    startedBy: request.startedBy,
    labels: request.labels,
    ...(request.clocks && { clocks: request.clocks }),
    ...(request.findings && { findings: request.findings }),
  };
  try {
    const handle = await client.workflow.start(request.kind, {
      taskQueue: controlQueue,
      workflowId,
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      args: [input],
      memo: { runId, planHash: plan.hash, startedBy: request.startedBy },
      typedSearchAttributes: attributesOf(request.kind, plan),
      staticSummary: summaryOf(request.kind, plan),
      ...(request.details !== undefined && { staticDetails: request.details }),
    });
    const executionId = handle.firstExecutionRunId;
    return {
      runId,
      workflowId,
      executionId,
      result: () => client.workflow.getHandle(workflowId, executionId).result() as Promise<RunView>,
    };
  } catch (err) {
    if (err instanceof WorkflowExecutionAlreadyStartedError) throw await activeError(client, plan);
    throw err;
  }
}

function summaryOf(kind: RunKind, plan: Plan): string {
  const how = kind === 'failover' ? (plan.mode === 'graceful' ? ', planned' : ', unplanned') : '';
  return `${kind} of ${plan.service}, ${plan.from} → ${plan.to}${how}`;
}

function attributesOf(kind: RunKind, plan: Plan): TypedSearchAttributes {
  return new TypedSearchAttributes([
    { key: keyword('DrService'), value: plan.service },
    { key: keyword('DrKind'), value: kind },
    { key: keyword('DrPhase'), value: 'starting' },
    { key: keyword('DrFrom'), value: plan.from },
    { key: keyword('DrTo'), value: plan.to },
    { key: defineSearchAttributeKey('DrDrill', 'BOOL'), value: plan.drill },
  ]);
}

async function activeError(client: Client, plan: Plan): Promise<MusterError> {
  const active = await activeRun(client, plan.service);
  const what =
    active === null
      ? 'another run'
      : `${active.runId} (${active.kind}, since ${new Date(active.startedAtMs).toISOString()})`;
  return new MusterError('RUN_ACTIVE', `service ${plan.service} is in the hands of ${what}`);
}

export interface ActiveRun {
  runId: string;
  kind: string;
  startedAtMs: number;
}

/** The run that holds the service now, or null. */
export async function activeRun(client: Client, service: string): Promise<ActiveRun | null> {
  const found = await client.workflow
    .getHandle(workflowIdOf(service))
    .describe()
    .catch((err: unknown) => {
      if (err instanceof Error && err.name === 'WorkflowNotFoundError') return null;
      throw err;
    });
  if (found === null || found.status.name !== 'RUNNING') return null;
  const runId = found.memo?.['runId'];
  return {
    runId: typeof runId === 'string' ? runId : found.runId,
    kind: found.type,
    startedAtMs: found.startTime.getTime(),
  };
}
