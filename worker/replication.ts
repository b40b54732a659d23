import type { Client } from '@temporalio/client';
import { freshOrUnknown } from '../activities/drivers/bucket/replication/status.ts';
import type { ReplicateOrder } from '../workflows/engine/protection.ts';
import type { ReplicationStatus } from '../workflows/engine/replication.ts';
import type { ReplicationView } from '../workflows/replicate.ts';
import { progressOf, startProtection, type StartedProtection } from './protection-start.ts';

/** One replication for each resource: Temporal itself refuses a second start of this id. */
export function replicationIdOf(service: string, resource: string): string {
  return `replicate/${service}/${resource}`;
}

/** @throws MusterError RUN_ACTIVE when it runs already */
export function startReplication(client: Client, order: ReplicateOrder): Promise<StartedProtection<void>> {
  const { service, resource, from, to } = order;
  return startProtection<void>(client, {
    ...{ workflowType: 'replicate', workflowId: replicationIdOf(service, resource.name), order, service },
    summary: `replication of ${service}/${resource.name}, first ${from} → ${to}`,
  });
}

/** A replication that runs, as far as its workflow and its activity answer. */
export interface Replication {
  /** Null when no worker answers for it. */
  view: ReplicationView | null;
  /** What the activity told last; unknown figures when that is a while ago. Null when none is under way. */
  now: ReplicationStatus | null;
  /** Why the attempt before failed, or null. */
  lastFailure: string | null;
}

const askMs = 3_000;

/** Null when none runs. */
export async function readReplication(client: Client, service: string, resource: string): Promise<Replication | null> {
  const workflowId = replicationIdOf(service, resource);
  const progress = await progressOf(client, workflowId);
  if (progress === null) return null;
  const asked = client.connection.withDeadline(Date.now() + askMs, () =>
    client.workflow.getHandle(workflowId).query<ReplicationView>('status'),
  );
  const view = await asked.catch(() => null);
  const told = 'phase' in progress.detail ? (progress.detail as unknown as ReplicationStatus) : null;
  const now = told === null ? null : freshOrUnknown(told, Date.now());
  return { view, now, lastFailure: progress.lastFailure };
}

export async function signalReplication(
  client: Client,
  { service, resource }: { service: string; resource: string },
  signal: 'pause' | 'resume',
): Promise<void> {
  await client.workflow.getHandle(replicationIdOf(service, resource)).signal(signal);
}
