import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type Client,
  type ScheduleDescription,
} from '@temporalio/client';
import type { Estate } from '../../runbooks/estate.ts';
import { compileProtection } from '../../runbooks/protection.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { DesiredSchedule } from './content.ts';
import { desiredSchedules, estateMark } from './desired.ts';
import { diffSchedules, type ScheduleStep } from './diff.ts';
import { readFailoverNote } from './pause-note.ts';
import { inTurns, reached, readBack, readSchedules } from './read.ts';
import { fromDescription, toOptions } from './translate.ts';

/** What lies between an estate and Temporal. @throws MusterError TEMPORAL_UNREACHABLE */
export async function compareSchedules(client: Client, estate: Estate): Promise<ScheduleStep[]> {
  const desired = desiredSchedules(compileProtection(estate));
  const { ours, foreign } = await readSchedules(
    client,
    desired.map(({ id }) => id),
  );
  return diffSchedules(desired, ours, estateMark(estate), foreign);
}

/**
 * Makes Temporal's schedules what the estate asks for. Repeating it changes nothing. Whether a schedule is paused is left
 * as it is: a failover or a person has paused it, and one of them takes it up again. Schedules that are not this
 * estate's are never touched.
 * @returns ids of what was created, changed or removed
 * @throws MusterError CONFIG_INVALID before anything is done, when a name is taken by a schedule of somebody else
 */
export async function applySchedules(
  client: Client,
  steps: readonly ScheduleStep[],
  estate: Pick<Estate, 'fileName'>,
): Promise<string[]> {
  const taken = steps.filter((step) => step.kind === 'foreign');
  if (taken.length > 0) {
    const names = taken.map(({ id, owner }) => `${id} (${owner === 'nobody' ? 'not made by Muster' : `of ${owner}`})`);
    const message = `schedules of these names are there that are not ${estate.fileName}'s: ${names.join(', ')}`;
    throw new MusterError('CONFIG_INVALID', message);
  }
  const done = await reached(() => inTurns(steps, (step) => carryOut(client, step, estateMark(estate))));
  return done.filter((id) => id !== null);
}

/** @returns the schedule's id when anything was done */
async function carryOut(client: Client, step: ScheduleStep, estate: string): Promise<string | null> {
  switch (step.kind) {
    case 'create':
      await create(client, step.desired, estate);
      return step.id;
    case 'change':
      await update(client, step.desired, estate);
      return step.id;
    case 'drifted':
      // A pause alone is left, so that nothing is to be done.
      if (step.changes.every(({ field }) => field === 'paused')) return null;
      await update(client, step.desired, estate);
      return step.id;
    case 'remove':
      await remove(client, step.id);
      return step.id;
    case 'same':
    case 'foreign':
      return null;
  }
}

async function create(client: Client, desired: DesiredSchedule, estate: string): Promise<void> {
  try {
    await client.schedule.create(toOptions(desired, estate));
    await readBack(client, desired.id, (schedule) => schedule !== null);
  } catch (err) {
    if (!(err instanceof ScheduleAlreadyRunning)) throw err;
    throw new MusterError('CONFIG_INVALID', `schedule ${desired.id} was made by somebody else meanwhile`);
  }
}

async function update(client: Client, desired: DesiredSchedule, estate: string): Promise<void> {
  const { scheduleId: _id, memo: _memo, ...options } = toOptions(desired, estate);
  await client.schedule.getHandle(desired.id).update((found) => ({ ...options, state: stateAfter(found, desired) }));
  await readBack(client, desired.id, (schedule) => schedule?.hash === desired.hash);
}

/** As it was; but what a failover has paused for the sake of a site goes on when the estate names another one. */
function stateAfter(found: ScheduleDescription, { subject }: DesiredSchedule): { paused: boolean; note?: string } {
  const { paused, note = '' } = found.state;
  const before = fromDescription(found)?.subject.site ?? null;
  const isMoved = paused && readFailoverNote(note) !== null && before !== subject.site;
  if (isMoved) return { paused: false, note: `taken up: the estate names ${subject.site ?? 'no site'} for it` };
  return { paused, ...(note !== '' && { note }) };
}

async function remove(client: Client, id: string): Promise<void> {
  try {
    await client.schedule.getHandle(id).delete();
    await readBack(client, id, (schedule) => schedule === null);
  } catch (err) {
    if (!(err instanceof ScheduleNotFoundError)) throw err;
  }
}
