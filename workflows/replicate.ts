import {
  ActivityCancellationType,
  continueAsNew,
  defineQuery,
  proxyActivities,
  setHandler,
} from '@temporalio/workflow';
import type { ReplicateOrder } from './engine/protection.ts';
import type { ReplicationStatus } from './engine/replication.ts';
import { failureText } from './protection-run.ts';
import { keepWorking } from './standing-work.ts';

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
 * Keeps a bucket replicated until it is cancelled, whichever site writes: moves of the service turn it round. While it is
 * paused nothing is copied, and how far the other site is behind is not known. Failures that pass are tried again for
 * ever; any other stops it until a person resumes it.
 */
export async function replicate(order: ReplicateOrder, memory?: ReplicationMemory): Promise<void> {
  const now: ReplicationMemory = memory ?? { isPaused: false, failure: null, last: null };
  const view: ReplicationView = {
    ...{ service: order.service, resource: order.resource.name, phase: 'replicating', sinceMs: Date.now() },
    ...{ failure: now.failure, last: now.last },
  };
  setHandler(replicationStatus, () => view);
  await keepWorking<ReplicationStatus>({
    isPaused: now.isPaused,
    isHeld: () => now.failure !== null,
    onResumed: () => void (now.failure = null),
    show: (isPaused) => {
      const phase = isPaused ? 'paused' : now.failure === null ? 'replicating' : 'stopped';
      if (phase !== view.phase) view.sinceMs = Date.now();
      Object.assign(view, { phase, failure: now.failure, last: now.last } satisfies Partial<ReplicationView>);
      return { phase, details: describe(order, view) };
    },
    begin: () => copyObjects(order),
    onEnded: (last) => void (now.last = last),
    onFailed: (err) => void (now.failure = failureText(err)),
    goOn: (isPaused) => continueAsNew<typeof replicate>(order, { ...now, isPaused }),
  });
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
