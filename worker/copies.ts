import type { Client } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { copyWorkflowId } from '../runbooks/copies-orders.ts';
import type { CopyBeat, CopyMode, CopyOrder, CopyResult, CopyView } from '../workflows/engine/copying.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { progressOf, startProtection, type ProtectionProgress, type StartedProtection } from './protection-start.ts';

/** @throws MusterError RUN_ACTIVE when it is under way already */
export async function startCopy(client: Client, order: CopyOrder): Promise<StartedProtection<CopyResult>> {
  const { name, mode, from, to, startedBy } = order;
  const workflowId = copyWorkflowId(name, mode);
  const summary = `${mode === 'do' ? 'copy' : mode} ${name}, ${from}${to === null ? '' : ` → ${to}`}, by ${startedBy}`;
  const start = { workflowType: 'copyObjects', workflowId, order, service: '', summary };
  return startProtection<CopyResult>(client, start).catch((err: unknown) => {
    if (!(err instanceof MusterError) || err.code !== 'RUN_ACTIVE') throw err;
    throw new MusterError('RUN_ACTIVE', `${workflowId} is under way already; see \`muster copies status ${name}\``);
  });
}

/** A copy that runs, as far as its workflow and its activity answer. */
export interface RunningCopy {
  /** Null when no worker answers for it. */
  view: CopyView | null;
  /** What the activity told last of the piece under way; null when none is, or when it has told nothing for a while. */
  now: CopyBeat | null;
  attempt: number;
  /** Why the attempt before failed, or null. */
  lastFailure: string | null;
}

/** How the last one ended. */
export interface EndedCopy {
  /** Temporal's word: `COMPLETED`, `CANCELLED`, `FAILED`, ... */
  how: string;
  endedAtMs: number;
  /** Of one that was completed. */
  result: CopyResult | null;
}

const askMs = 3_000;
/** A beat that was not renewed for so long says nothing of now, milliseconds. */
const freshMs = 30_000;

/** Null when none runs. */
export async function readCopy(client: Client, name: string, mode: CopyMode = 'do'): Promise<RunningCopy | null> {
  const workflowId = copyWorkflowId(name, mode);
  const progress = await progressOf(client, workflowId);
  if (progress === null) return null;
  const asked = client.connection.withDeadline(Date.now() + askMs, () =>
    client.workflow.getHandle(workflowId).query<CopyView>('status'),
  );
  const view = await asked.catch(() => null);
  return { view, now: beatOf(progress), attempt: progress.attempt, lastFailure: progress.lastFailure };
}

/** What the activity of a piece told last; null when it has told nothing, or nothing for a while. */
export function beatOf({ detail }: Pick<ProtectionProgress, 'detail'>, nowMs = Date.now()): CopyBeat | null {
  const { atMs } = detail;
  return typeof atMs === 'number' && nowMs - atMs <= freshMs ? (detail as unknown as CopyBeat) : null;
}

/** Null when none has ended, as far as Temporal remembers. */
export async function readEndedCopy(client: Client, name: string): Promise<EndedCopy | null> {
  const handle = client.workflow.getHandle(copyWorkflowId(name, 'do'));
  const found = await handle.describe().catch(unlessMissing);
  if (found === null || found.status.name === 'RUNNING') return null;
  const how = found.status.name;
  const result = how === 'COMPLETED' ? ((await handle.result()) as CopyResult) : null;
  return { how, endedAtMs: (found.closeTime ?? found.startTime).getTime(), result };
}

/** @throws MusterError RUN_UNKNOWN when none runs */
export async function signalCopy(client: Client, name: string, signal: 'pause' | 'resume'): Promise<void> {
  const handle = client.workflow.getHandle(copyWorkflowId(name, 'do'));
  await handle.signal(signal).catch((err: unknown) => {
    if (unlessMissing(err) === null) throw notUnderWay(name);
  });
}

const endWithinMs = 120_000;
const lookEveryMs = 250;

/** Ends it in order: what is under way is brought to an end, and the next one goes on from there. @throws MusterError RUN_UNKNOWN, STEP_TIMEOUT */
export async function stopCopy(client: Client, name: string): Promise<void> {
  const handle = client.workflow.getHandle(copyWorkflowId(name, 'do'));
  const found = await handle.describe().catch(unlessMissing);
  if (found === null || found.status.name !== 'RUNNING') throw notUnderWay(name);
  await handle.cancel();
  for (const endsAtMs = Date.now() + endWithinMs; (await handle.describe()).status.name === 'RUNNING';) {
    if (Date.now() > endsAtMs) throw new MusterError('STEP_TIMEOUT', `copy ${name} does not end; see it in Temporal`);
    await sleep(lookEveryMs);
  }
}

function notUnderWay(name: string): MusterError {
  return new MusterError('RUN_UNKNOWN', `copy ${name} is not under way; \`muster copies start ${name}\` starts it`);
}

function unlessMissing(err: unknown): null {
  if (err instanceof Error && err.name === 'WorkflowNotFoundError') return null;
  throw err;
}
