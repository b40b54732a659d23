import type { Client } from '@temporalio/client';
import { followingWorkflows } from '../../workflows/engine/protection.ts';
import type { PlanResource } from '../../workflows/engine/plan.ts';
import type { ScheduledInput } from '../../workflows/scheduled.ts';
import type { ActualSchedule, ScheduleContent } from './content.ts';
import { failoverNote, readFailoverNote, type FailoverPause } from './pause-note.ts';
import { inTurns, reached, readBack, readSchedule, readSchedules } from './read.ts';

/** Which schedules are meant. */
export interface ScheduleChoice {
  /** Service whose schedules are meant. */
  service: string;
  /** Only those that need this site. */
  site: string;
  /** Also those of vaults that lie at the site. */
  wholeSite: boolean;
}

/**
 * Pauses schedules for a failover, with a note by which it finds them again; those that follow their service go on. What
 * is paused already stays as it is, whoever paused it. Repeating it changes nothing.
 * @returns ids of those it has paused
 * @throws MusterError TEMPORAL_UNREACHABLE
 */
export async function pauseSchedulesOf(
  client: Client,
  choice: ScheduleChoice,
  by: FailoverPause,
  why: string,
): Promise<string[]> {
  const { ours } = await readSchedules(client);
  const meant = ours.filter((schedule) => isMeant(schedule, choice) && !schedule.paused);
  return act(meant, (id) => setPaused(client, id, true, failoverNote(by, why)));
}

/**
 * Takes up again exactly what failovers of the service have paused; what a person has paused stays so. Repeating it
 * changes nothing.
 * @param of `runId`: only what this run has paused
 * @returns ids of those it has taken up
 * @throws MusterError TEMPORAL_UNREACHABLE
 */
export async function resumeSchedulesOf(
  client: Client,
  of: { service: string; site: string; runId?: string },
  why: string,
): Promise<string[]> {
  const { ours } = await readSchedules(client);
  const meant = ours.filter(({ paused, note, subject }) => {
    const pause = paused ? readFailoverNote(note) : null;
    if (pause === null || pause.service !== of.service || subject.site !== of.site) return false;
    return of.runId === undefined || of.runId === pause.runId;
  });
  return act(meant, (id) => setPaused(client, id, false, why));
}

/**
 * Pauses a schedule or takes it up, and reads it back.
 * @throws MusterError SCHEDULE_UNKNOWN, TEMPORAL_UNREACHABLE
 */
export async function setPaused(client: Client, id: string, paused: boolean, note: string): Promise<ActualSchedule> {
  const handle = client.schedule.getHandle(id);
  await readSchedule(client, id);
  await reached(() => (paused ? handle.pause(note) : handle.unpause(note)));
  await readBack(client, id, (schedule) => schedule?.paused === paused && schedule.note === note);
  return readSchedule(client, id);
}

async function act(schedules: readonly ActualSchedule[], work: (id: string) => Promise<unknown>): Promise<string[]> {
  await inTurns(schedules, ({ id }) => work(id));
  return schedules.map(({ id }) => id);
}

/** What is done wherever the service writes does not rest, if its resource is at another site, too. */
function follows({ args: [input] }: ScheduleContent, left: string): boolean {
  const { type, args } = (input ?? {}) as Partial<ScheduledInput>;
  if (type === undefined || !followingWorkflows.includes(type)) return false;
  const { sites = {} } = (args?.[0]?.['resource'] ?? {}) as Partial<PlanResource>;
  return Object.keys(sites).some((site) => site !== left);
}

function isMeant({ subject, content }: ActualSchedule, { service, site, wholeSite }: ScheduleChoice): boolean {
  if (subject.site !== site || follows(content, site)) return false;
  return subject.service === service || (wholeSite && subject.service === '');
}
