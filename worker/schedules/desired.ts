import { createHash } from 'node:crypto';
import type { Estate } from '../../runbooks/estate.ts';
import { canonicalJson } from '../../runbooks/hash.ts';
import { scheduledOf, type DrillOrder, type ProtectionPlan, type Scheduled } from '../../runbooks/protection.ts';
import type { JsonObject } from '../../workflows/engine/plan.ts';
import type { ScheduledDrillInput } from '../../workflows/scheduled-drill.ts';
import type { ScheduledInput } from '../../workflows/scheduled.ts';
import { controlQueue } from '../run-start.ts';
import type { DesiredSchedule, ScheduleContent, ScheduleSubject } from './content.ts';

/** What names the estate in the marks of its schedules: two estates in one namespace leave each other's alone. */
export function estateMark(estate: Pick<Estate, 'fileName'>): string {
  return estate.fileName;
}

/** The schedules that a plan asks for, by id. Pure. */
export function desiredSchedules(plan: ProtectionPlan): DesiredSchedule[] {
  const drills = new Set<Scheduled<unknown>>(plan.drills);
  return scheduledOf(plan).map((item) => describe(item, drills.has(item)));
}

/** SHA-256 (hex) over what the estate decides of a schedule. */
export function hashOf(subject: ScheduleSubject, content: ScheduleContent): string {
  return createHash('sha256').update(canonicalJson({ subject, content })).digest('hex');
}

function describe(item: Scheduled<unknown>, isDrill: boolean): DesiredSchedule {
  const { scheduleId: id, service, site, every, gapSeconds, when, jitterSeconds, catchUpSeconds } = item;
  const subject = { service, site, every, gapSeconds };
  const content: ScheduleContent = {
    workflowType: isDrill ? 'scheduledDrill' : 'scheduled',
    workflowId: `scheduled/${id}`,
    taskQueue: controlQueue,
    summary: `${id}, ${every}`,
    args: [asJson(isDrill ? drillInput(item as Scheduled<DrillOrder>) : orderInput(item))],
    when,
    timezone: 'UTC',
    jitterSeconds,
    catchUpSeconds,
    overlap: 'SKIP',
    pauseOnFailure: false,
    remainingTurns: null,
  };
  return { id, subject, content, hash: hashOf(subject, content) };
}

function drillInput({ scheduleId, order }: Scheduled<DrillOrder>): ScheduledDrillInput {
  return { scheduleId, service: order.service, kind: order.kind };
}

function orderInput({ scheduleId, workflowType, workflowId, order, service }: Scheduled<unknown>): ScheduledInput {
  const kind = scheduleId.split('/')[0] ?? '';
  return { scheduleId, type: workflowType, workflowId, args: [order as JsonObject], service, kind };
}

/** As it will be once it has been through Temporal. */
function asJson(value: unknown): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}
