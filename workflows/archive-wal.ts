import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  condition,
  ContinueAsNew,
  continueAsNew,
  defineQuery,
  isCancellation,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ArchiveWalOrder } from './engine/protection.ts';
import { aimed } from './follow-writer.ts';
import type { ScheduleFinding } from './scheduled.ts';
import { keepWorking } from './standing-work.ts';

export const archiveStatus = defineQuery<ArchiveWalStatus>('status');

export interface ArchiveWalStatus {
  service: string;
  resource: string;
  vault: string;
  phase: 'archiving' | 'paused';
  /** Of the phase, Unix milliseconds. How far the archive is, the activity tells by its heartbeats. */
  sinceMs: number;
}

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

const lookAgainMs = 60_000;

const { 'record finding': recordFinding } = proxyActivities<
  Record<'record finding', (finding: ScheduleFinding) => Promise<void>>
>({ startToCloseTimeout: '5 s', scheduleToCloseTimeout: '15 s', summary: 'tells the ledger that the archive ended' });

/**
 * Keeps a database's WAL streaming into a vault until it is cancelled, from whichever site writes. While it is paused the
 * server keeps its WAL, up to its own limit. A failure that waiting does not mend ends it, and is a finding.
 * @param isPaused how it begins
 */
export async function archiveWal(order: ArchiveWalOrder, isPaused = false): Promise<void> {
  try {
    await keepArchiving(order, isPaused);
  } catch (err) {
    if (!isCancellation(err) && !(err instanceof ContinueAsNew)) await tellFailure(order, causeOf(err));
    throw causeOf(err);
  }
}

function keepArchiving(order: ArchiveWalOrder, isPaused: boolean): Promise<never> {
  const status: ArchiveWalStatus = {
    ...{ service: order.service, resource: order.resource.name, vault: order.vault.name },
    ...{ phase: isPaused ? 'paused' : 'archiving', sinceMs: Date.now() },
  };
  setHandler(archiveStatus, () => status);
  const archiving = { isHomeless: false };
  return keepWorking({
    isPaused,
    show: (nowPaused) => {
      status.phase = nowPaused ? 'paused' : 'archiving';
      status.sinceMs = Date.now();
      const details = `### WAL of ${subjectOf(order)}\n\n**${status.phase}**, started by ${order.startedBy}`;
      return { phase: status.phase, details };
    },
    begin: () => archiveWhereWritten(order, archiving),
    onFailed: (err) => {
      throw err;
    },
    goOn: (nowPaused) => continueAsNew<typeof archiveWal>(order, nowPaused),
  });
}

/** As long as no vault answers after a move, it is looked again; that is told once. */
async function archiveWhereWritten(order: ArchiveWalOrder, now: { isHomeless: boolean }): Promise<void> {
  let found: ArchiveWalOrder;
  try {
    found = await aimed(order);
  } catch (err) {
    if (!(err instanceof ApplicationFailure)) throw err;
    if (!now.isHomeless) await tellFailure(order, err);
    now.isHomeless = true;
    await condition(() => false, lookAgainMs, { summary: 'waits for a vault' });
    return;
  }
  now.isHomeless = false;
  await archive(found);
}

function causeOf(err: unknown): unknown {
  return err instanceof ActivityFailure && err.cause instanceof ApplicationFailure ? err.cause : err;
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
