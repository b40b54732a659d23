import { WorkflowNotFoundError, type Client, type WorkflowHandle } from '@temporalio/client';
import { compileProtection } from '../../runbooks/protection.ts';
import type { ScheduleFinding } from '../../workflows/scheduled.ts';
import type { FollowOrder } from '../../workflows/settle-schedules.ts';
import { aimAtWriter, type AimDeps } from '../aim.ts';

export interface FollowDeps {
  aim: AimDeps;
  addFinding: (finding: ScheduleFinding) => Promise<void>;
}

/**
 * After a move: archives of WAL begin anew where the service writes now, backups that still read the other site are ended
 * and begun again, and where no vault answers somebody is told at once. Repeating it does no harm.
 * @returns workflow ids of what was sent over
 */
export async function followWriter(
  client: Client,
  { aim, addFinding }: FollowDeps,
  order: FollowOrder,
): Promise<string[]> {
  const { service, runId, movedAtMs } = order;
  const { backups, walArchives } = compileProtection(aim.estate);
  const sent: string[] = [];
  for (const { workflowId } of walArchives.filter((one) => one.service === service)) {
    if (await isThere(() => client.workflow.getHandle(workflowId).signal('follow'))) sent.push(workflowId);
  }
  const unkept = new Set<string>();
  for (const { workflowId, order: asked } of backups.filter((one) => one.service === service)) {
    if (await cutOff(client.workflow.getHandle(workflowId), movedAtMs)) {
      sent.push(workflowId);
      // By its schedule, as if the turn came when the one cut off has ended; where nobody has applied one there is none.
      await client.schedule
        .getHandle(workflowId)
        .trigger('BUFFER_ONE')
        .catch(() => undefined);
    }
    const found = await aimAtWriter(aim, asked);
    if (found.kind === 'no-vault') unkept.add(found.why);
  }
  for (const what of unkept)
    await addFinding({
      service,
      runId,
      stepId: null,
      severity: 'critical',
      what: `not backed up: ${what}`,
      atMs: movedAtMs,
    });
  return sent;
}

/** Ends what began before the move: it reads a site that writes no more. */
async function cutOff(handle: WorkflowHandle, movedAtMs: number): Promise<boolean> {
  return isThere(async () => {
    const { status, startTime } = await handle.describe();
    if (status.name !== 'RUNNING' || startTime.getTime() > movedAtMs) return false;
    await handle.cancel();
    await handle.result().catch(() => undefined);
    return true;
  });
}

async function isThere(act: () => Promise<unknown>): Promise<boolean> {
  try {
    return (await act()) !== false;
  } catch (err) {
    if (err instanceof WorkflowNotFoundError) return false;
    throw err;
  }
}
