import { WorkflowFailedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { toldFailure } from '../../workflows/engine/protection.ts';
import type { ActualSchedule } from './content.ts';

/** What became of a schedule's newest turn. Unix milliseconds. */
export type LastRun =
  | { kind: 'none' }
  | { kind: 'running'; sinceMs: number }
  /** `end` as the workflow says it: `done`, `done: proven`, `skipped: already running`. */
  | { kind: 'ended'; end: string; endedAtMs: number }
  /** `isTold`: what failed has made a finding of it itself. */
  | { kind: 'failed'; why: string; isTold: boolean; endedAtMs: number }
  /** Temporal has forgotten it: histories are kept for so long only. */
  | { kind: 'forgotten'; takenAtMs: number };

/** Reads it back from Temporal. */
export async function lastRunOf(client: Client, { turns: { last } }: Pick<ActualSchedule, 'turns'>): Promise<LastRun> {
  if (last === null) return { kind: 'none' };
  const handle = client.workflow.getHandle(last.workflowId, last.runId);
  try {
    const { status, startTime, closeTime } = await handle.describe();
    if (status.name === 'RUNNING') return { kind: 'running', sinceMs: startTime.getTime() };
    const endedAtMs = (closeTime ?? startTime).getTime();
    const ended = await endOf(() => handle.result());
    return ended.kind === 'ended' ? { ...ended, endedAtMs } : { ...ended, endedAtMs };
  } catch (err) {
    if (err instanceof WorkflowNotFoundError) return { kind: 'forgotten', takenAtMs: last.takenAtMs };
    throw err;
  }
}

async function endOf(
  result: () => Promise<unknown>,
): Promise<{ kind: 'ended'; end: string } | { kind: 'failed'; why: string; isTold: boolean }> {
  try {
    const end = await result();
    return { kind: 'ended', end: typeof end === 'string' ? end : 'done' };
  } catch (err) {
    if (!(err instanceof WorkflowFailedError)) throw err;
    const { cause } = err;
    const isTold = cause instanceof ApplicationFailure && cause.details?.[0] === toldFailure;
    return { kind: 'failed', why: cause instanceof Error ? cause.message : err.message, isTold };
  }
}
