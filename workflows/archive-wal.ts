import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  ContinueAsNew,
  continueAsNew,
  defineQuery,
  defineSignal,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { ArchiveWalOrder } from './engine/protection.ts';
import type { ScheduleFinding } from './scheduled.ts';

/** The server then keeps its WAL, up to its own limit, and it is fetched when the archive is resumed. */
export const pauseArchive = defineSignal('pause');
export const resumeArchive = defineSignal('resume');
export const archiveStatus = defineQuery<ArchiveWalStatus>('status');

export interface ArchiveWalStatus {
  service: string;
  resource: string;
  vault: string;
  phase: 'archiving' | 'paused';
  /** Of the phase, Unix milliseconds. How far the archive is, the activity tells by its heartbeats. */
  sinceMs: number;
}

const phaseKey = defineSearchAttributeKey('DrPhase', 'KEYWORD');

const { 'archive wal': archive } = proxyActivities<Record<'archive wal', (order: ArchiveWalOrder) => Promise<unknown>>>(
  {
    // Only so that a history shows a sign of life from time to time.
    startToCloseTimeout: '30 days',
    // Heartbeats are sent after four fifths of it, and a pause or a cancellation comes back with one.
    heartbeatTimeout: '10 s',
    retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '60 s' },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: 'streams WAL into the vault',
  },
);

const { 'record finding': recordFinding } = proxyActivities<
  Record<'record finding', (finding: ScheduleFinding) => Promise<void>>
>({ startToCloseTimeout: '5 s', scheduleToCloseTimeout: '15 s', summary: 'tells the ledger that the archive ended' });

/**
 * Keeps a database's WAL streaming into a vault until it is cancelled. A failure that waiting does not mend ends it, and
 * is a finding.
 * @param isPaused how it begins
 */
export async function archiveWal(order: ArchiveWalOrder, isPaused = false): Promise<void> {
  try {
    await keepArchiving(order, isPaused);
  } catch (err) {
    if (!isCancellation(err) && !(err instanceof ContinueAsNew)) await tellFailure(order, err);
    throw err;
  }
}

async function keepArchiving(order: ArchiveWalOrder, isPaused: boolean): Promise<void> {
  const control = { isPaused };
  setHandler(pauseArchive, () => void (control.isPaused = true));
  setHandler(resumeArchive, () => void (control.isPaused = false));
  const status: ArchiveWalStatus = {
    ...{ service: order.service, resource: order.resource.name, vault: order.vault.name },
    ...{ phase: isPaused ? 'paused' : 'archiving', sinceMs: Date.now() },
  };
  setHandler(archiveStatus, () => status);
  for (;;) {
    show(order, status, control.isPaused);
    if (control.isPaused) await condition(() => !control.isPaused);
    else await archiveUntil(order, () => control.isPaused);
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof archiveWal>(order, control.isPaused);
  }
}

async function tellFailure(order: ArchiveWalOrder, err: unknown): Promise<void> {
  const why = err instanceof ApplicationFailure ? `${err.type ?? 'INTERNAL'}: ${err.message}` : String(err);
  const what = `the WAL of ${subjectOf(order)} is archived no more: ${why}`;
  const { workflowId } = workflowInfo();
  const finding = { service: order.service, runId: workflowId, stepId: null, severity: 'critical', what } as const;
  // The failure itself must be seen even when the ledger is away.
  await recordFinding({ ...finding, atMs: Date.now() }).catch(() => undefined);
}

function subjectOf({ service, resource, vault }: ArchiveWalOrder): string {
  return `${service}/${resource.name} into ${vault.name}`;
}

function show(order: ArchiveWalOrder, status: ArchiveWalStatus, isPaused: boolean): void {
  status.phase = isPaused ? 'paused' : 'archiving';
  status.sinceMs = Date.now();
  upsertSearchAttributes([{ key: phaseKey, value: status.phase }]);
  setCurrentDetails(`### WAL of ${subjectOf(order)}\n\n**${status.phase}**, started by ${order.startedBy}`);
}

/** One long activity, cancelled when it is to pause. When it ends of itself it is begun again. */
async function archiveUntil(order: ArchiveWalOrder, shouldPause: () => boolean): Promise<void> {
  const scope = new CancellationScope();
  let isOver = false;
  const work = scope.run(() => archive(order)).finally(() => (isOver = true));
  work.catch(() => undefined); // asked below
  try {
    await condition(() => isOver || shouldPause());
  } catch (err) {
    // Cancelled as a whole: the activity is heard out, so that what it has received is in the vault.
    await work.catch(() => undefined);
    throw err;
  }
  if (!isOver) scope.cancel();
  try {
    await work;
  } catch (err) {
    if (isCancellation(err) && shouldPause()) return;
    throw err instanceof ActivityFailure && err.cause instanceof ApplicationFailure ? err.cause : err;
  }
}
