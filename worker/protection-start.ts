import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError, type Client } from '@temporalio/client';
import { ApplicationFailure, defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCatalogue, MusterError, type ErrorCode } from '../workflows/engine/errors.ts';
import { controlQueue } from './run-start.ts';

/** One workflow of protection that somebody asks for by hand. */
export interface ProtectionStart {
  workflowType: string;
  workflowId: string;
  order: unknown;
  service: string;
  /** Shown in the Temporal UI. */
  summary: string;
  memo?: Record<string, unknown>;
}

export interface StartedProtection<Answer> {
  workflowId: string;
  runId: string;
  /** @throws MusterError what the workflow failed with */
  result(): Promise<Answer>;
}

/** @throws MusterError RUN_ACTIVE when one with this id runs already */
export async function startProtection<Answer>(
  client: Client,
  start: ProtectionStart,
): Promise<StartedProtection<Answer>> {
  const { workflowType, workflowId, order, service, summary, memo } = start;
  try {
    const handle = await client.workflow.start(workflowType, {
      ...{ taskQueue: controlQueue, workflowId, args: [order], staticSummary: summary },
      ...{ workflowIdConflictPolicy: 'FAIL', workflowIdReusePolicy: 'ALLOW_DUPLICATE' },
      ...(memo !== undefined && { memo }),
      typedSearchAttributes: new TypedSearchAttributes([
        { key: defineSearchAttributeKey('DrService', 'KEYWORD'), value: service },
        { key: defineSearchAttributeKey('DrKind', 'KEYWORD'), value: workflowType },
      ]),
    });
    const runId = handle.firstExecutionRunId;
    return { workflowId, runId, result: () => resultOf<Answer>(client, workflowId, runId) };
  } catch (err) {
    if (!(err instanceof WorkflowExecutionAlreadyStartedError)) throw err;
    throw new MusterError('RUN_ACTIVE', `${workflowId} is under way already; see \`muster backups list\``);
  }
}

async function resultOf<Answer>(client: Client, workflowId: string, runId: string): Promise<Answer> {
  try {
    return (await client.workflow.getHandle(workflowId, runId).result()) as Answer;
  } catch (err) {
    throw musterErrorOf(err, workflowId);
  }
}

function musterErrorOf(err: unknown, workflowId: string): unknown {
  if (!(err instanceof WorkflowFailedError)) return err;
  const { cause } = err;
  if (cause instanceof ApplicationFailure) {
    return new MusterError(codeOf(cause.type), cause.message, { cause });
  }
  return new MusterError('INTERNAL', `${workflowId}: ${cause?.message ?? err.message}`, { cause: err });
}

function codeOf(type: string | null | undefined): ErrorCode {
  return type !== null && type !== undefined && Object.hasOwn(errorCatalogue, type) ? (type as ErrorCode) : 'INTERNAL';
}

/** How far a running workflow of protection is, as its activity said last. */
export interface ProtectionProgress {
  workflowId: string;
  startedAtMs: number;
  /** What the activity told, e.g. `{ phase: 'saving', bytesDone, totalBytes }`; empty when it has said nothing yet. */
  detail: Record<string, unknown>;
  /** When it told that; null when it has said nothing yet. */
  toldAtMs: number | null;
  attempt: number;
  /** Why the attempt before failed, or null. */
  lastFailure: string | null;
}

/** null when nothing runs under this id. */
export async function progressOf(client: Client, workflowId: string): Promise<ProtectionProgress | null> {
  const found = await client.workflow
    .getHandle(workflowId)
    .describe()
    .catch((err: unknown) => {
      if (err instanceof Error && err.name === 'WorkflowNotFoundError') return null;
      throw err;
    });
  if (found === null || found.status.name !== 'RUNNING') return null;
  const [pending] = found.raw.pendingActivities ?? [];
  const [payload] = pending?.heartbeatDetails?.payloads ?? [];
  return {
    workflowId,
    startedAtMs: found.startTime.getTime(),
    detail: parseDetail(payload?.data),
    toldAtMs: millisOf(pending?.lastHeartbeatTime),
    attempt: pending?.attempt ?? 1,
    lastFailure: pending?.lastFailure?.message ?? null,
  };
}

function millisOf(time: { seconds?: unknown; nanos?: number | null } | null | undefined): number | null {
  const seconds = Number(time?.seconds ?? 0);
  return seconds > 0 ? seconds * 1_000 + (time?.nanos ?? 0) / 1e6 : null;
}

function parseDetail(data: Uint8Array | null | undefined): Record<string, unknown> {
  if (data === null || data === undefined) return {};
  try {
    const parsed: unknown = JSON.parse(Buffer.from(data).toString('utf8'));
    return parsed !== null && typeof parsed === 'object' ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const askEveryMs = 1_000;

/** Waits for the end, and tells how far it is meanwhile. @throws what the workflow failed with */
export async function followProtection<Answer>(
  client: Client,
  started: StartedProtection<Answer>,
  tell: (progress: ProtectionProgress) => void,
): Promise<Answer> {
  const ended = new AbortController();
  const asking = (async () => {
    while (!ended.signal.aborted) {
      const progress = await progressOf(client, started.workflowId).catch(() => null);
      if (progress !== null && !ended.signal.aborted) tell(progress);
      await sleep(askEveryMs, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  })();
  try {
    return await started.result();
  } finally {
    ended.abort();
    await asking;
  }
}
