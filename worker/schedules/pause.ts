import type { Client } from '@temporalio/client';
import type { ActualSchedule } from './content.ts';
import { failoverNote, readFailoverNote, type FailoverPause } from './pause-note.ts';
import { inTurns, reached, readSchedules } from './read.ts';

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
 * Pauses schedules for a failover, with a note by which it finds them again. What is paused already stays as it is,
 * whoever paused it. Repeating it changes nothing.
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
  return act(meant, (id) => client.schedule.getHandle(id).pause(failoverNote(by, why)));
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
  return act(meant, (id) => client.schedule.getHandle(id).unpause(why));
}

async function act(schedules: readonly ActualSchedule[], work: (id: string) => Promise<void>): Promise<string[]> {
  await reached(() => inTurns(schedules, ({ id }) => work(id)));
  return schedules.map(({ id }) => id);
}

function isMeant({ subject }: ActualSchedule, { service, site, wholeSite }: ScheduleChoice): boolean {
  if (subject.site !== site) return false;
  return subject.service === service || (wholeSite && subject.service === '');
}
