import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
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
import type { ReplicateOrder } from './engine/protection.ts';
import type { ReplicationStatus } from './engine/replication.ts';

/** Nothing is copied from then on, and how far the other site is behind is not known, until it is resumed. */
export const pauseReplication = defineSignal('pause');
export const resumeReplication = defineSignal('resume');
export const replicationStatus = defineQuery<ReplicationView>('status');

/** `stopped`: a failure that waiting does not mend; a person looks at it and resumes. */
export interface ReplicationView {
  service: string;
  resource: string;
  phase: 'replicating' | 'paused' | 'stopped';
  /** Of the phase, Unix milliseconds. */
  sinceMs: number;
  /** `CODE: message` of what stopped it, or null. */
  failure: string | null;
  /** What the last piece of work told at its end; how far it is now, the activity tells by its heartbeats. */
  last: ReplicationStatus | null;
}

/** What one run of the workflow hands to the next. */
export interface ReplicationMemory {
  isPaused: boolean;
  failure: string | null;
  last: ReplicationStatus | null;
}

const phaseKey = defineSearchAttributeKey('DrPhase', 'KEYWORD');

const { 'replicate objects': copyObjects } = proxyActivities<
  Record<'replicate objects', (order: ReplicateOrder) => Promise<ReplicationStatus>>
>({
  startToCloseTimeout: '2 hours',
  heartbeatTimeout: '15 s',
  retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '30 s' },
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  summary: 'copies what the writer writes to the other site',
});

/**
 * Keeps a bucket replicated until it is cancelled, whichever site writes: moves of the service turn it round. Failures
 * that pass are tried again for ever; any other stops it until a person resumes it.
 */
export async function replicate(order: ReplicateOrder, memory?: ReplicationMemory): Promise<void> {
  const now: ReplicationMemory = memory ?? { isPaused: false, failure: null, last: null };
  const view: ReplicationView = {
    ...{ service: order.service, resource: order.resource.name, phase: 'replicating', sinceMs: Date.now() },
    ...{ failure: now.failure, last: now.last },
  };
  setHandler(pauseReplication, () => void (now.isPaused = true));
  setHandler(resumeReplication, () => {
    now.isPaused = false;
    now.failure = null;
  });
  setHandler(replicationStatus, () => view);
  for (;;) {
    show(order, view, now);
    if (now.isPaused || now.failure !== null) await condition(() => !now.isPaused && now.failure === null);
    else await copyUntil(order, now);
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof replicate>(order, now);
  }
}

/** One piece of work, which is cancelled when it is to pause. */
async function copyUntil(order: ReplicateOrder, now: ReplicationMemory): Promise<void> {
  const scope = new CancellationScope();
  let isOver = false;
  const work = scope.run(() => copyObjects(order)).finally(() => (isOver = true));
  work.catch(() => undefined); // asked below
  try {
    await condition(() => isOver || now.isPaused);
  } catch (err) {
    // Cancelled as a whole: what is under way is written down before the end.
    await work.catch(() => undefined);
    throw err;
  }
  if (!isOver) scope.cancel();
  try {
    now.last = await work;
  } catch (err) {
    if (isCancellation(err)) {
      if (now.isPaused) return;
      throw err;
    }
    now.failure = failureText(err);
  }
}

function failureText(err: unknown): string {
  const cause = err instanceof ActivityFailure ? err.cause : err;
  if (cause instanceof ApplicationFailure) return `${cause.type ?? 'INTERNAL'}: ${cause.message}`;
  return `INTERNAL: ${cause instanceof Error ? cause.message : String(cause)}`;
}

function show(order: ReplicateOrder, view: ReplicationView, { isPaused, failure, last }: ReplicationMemory): void {
  const phase = isPaused ? 'paused' : failure === null ? 'replicating' : 'stopped';
  if (phase !== view.phase) view.sinceMs = Date.now();
  Object.assign(view, { phase, failure, last } satisfies Partial<ReplicationView>);
  upsertSearchAttributes([{ key: phaseKey, value: phase }]);
  setCurrentDetails(describe(order, view));
}

/** Markdown for the Temporal UI. */
function describe({ startedBy }: ReplicateOrder, { service, resource, phase, failure, last }: ReplicationView): string {
  const lines = [`### Replication of ${service}/${resource}`, '', `**${phase}**, started by ${startedBy}`];
  if (failure !== null)
    lines.push('', `**Waits for a person:** ${failure}`, `Go on: \`muster replicate resume ${service}/${resource}\``);
  if (last === null) return lines.join('\n');
  const seconds = (value: number | null): string => (value === null ? 'unknown' : `${value.toFixed(1)} s`);
  const { from, to, epoch, backlogObjects, backlogBytes, verifiedWatermarkMs } = last;
  const proved = verifiedWatermarkMs === null ? 'unknown' : new Date(verifiedWatermarkMs).toISOString();
  lines.push(
    '',
    `At ${new Date(last.atMs).toISOString()}, ${from} → ${to}, epoch ${epoch} (${last.phase}):`,
    '',
    `- lost if ${from} were lost: ${seconds(last.oldestPendingAgeSeconds)}`,
    `- backlog: ${backlogObjects ?? 'unknown'} objects, ${backlogBytes ?? 'unknown'} bytes; gone in ${seconds(last.etaSeconds)}`,
    `- proved at ${to}: everything before ${proved}`,
  );
  if (last.why !== null) lines.push(`- ${last.why}`);
  lines.push('', 'How far it is now, the heartbeat of the activity tells.');
  return lines.join('\n');
}
