import { setTimeout as sleep } from 'node:timers/promises';
import { ScheduleNotFoundError, type Client, type ScheduleDescription } from '@temporalio/client';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { ActualSchedule } from './content.ts';
import { fromDescription, ownerOf } from './translate.ts';

/** Schedules are described one by one; so many at a time. */
const atOnce = 8;

export interface FoundSchedules {
  /** Those with our mark, of this and of other estates, by id. */
  ours: ActualSchedule[];
  /** Of the wanted ids, those that are taken by schedules without our mark. */
  foreign: string[];
}

/**
 * All schedules that Muster has made in the namespace, and what is there under the wanted ids. Temporal's list is some
 * moments behind: the wanted ones are asked for by name.
 * @throws MusterError TEMPORAL_UNREACHABLE
 */
export async function readSchedules(client: Client, wanted: readonly string[] = []): Promise<FoundSchedules> {
  return reached(async () => {
    const ids = new Set(wanted);
    for await (const { scheduleId, memo } of client.schedule.list()) if (ownerOf(memo) !== null) ids.add(scheduleId);
    const found = (await inTurns([...ids].toSorted(), (id) => describeSchedule(client, id))).filter(
      (description) => description !== null,
    );
    const ours = found.map(fromDescription);
    return {
      ours: ours.filter((schedule) => schedule !== null),
      foreign: found.filter((_, index) => ours[index] === null).map(({ scheduleId }) => scheduleId),
    };
  });
}

/** One of our schedules. @throws MusterError SCHEDULE_UNKNOWN when there is none of that name, or it is not ours */
export async function readSchedule(client: Client, id: string): Promise<ActualSchedule> {
  const found = await reached(() => describeSchedule(client, id));
  const schedule = found === null ? null : fromDescription(found);
  if (schedule !== null) return schedule;
  const why = found === null ? 'there is no schedule' : 'Muster has not made the schedule';
  throw new MusterError('SCHEDULE_UNKNOWN', `${why} "${id}"`);
}

const readBacks = 50;
const readBackMs = 100;

/**
 * Waits until a schedule is as it was told to be: Temporal answers before it has done so.
 * @param isSo told of the schedule, null while there is none of ours of that name
 * @throws MusterError TEMPORAL_UNREACHABLE when it does not become so within seconds
 */
export async function readBack(
  client: Client,
  id: string,
  isSo: (schedule: ActualSchedule | null) => boolean,
): Promise<void> {
  for (let tries = 0; tries < readBacks; tries++) {
    const found = await reached(() => describeSchedule(client, id));
    if (isSo(found === null ? null : fromDescription(found))) return;
    await sleep(readBackMs);
  }
  throw new MusterError(
    'TEMPORAL_UNREACHABLE',
    `Temporal took an order about schedule ${id} and does not carry it out`,
  );
}

async function describeSchedule(client: Client, id: string): Promise<ScheduleDescription | null> {
  try {
    return await client.schedule.getHandle(id).describe();
  } catch (err) {
    if (err instanceof ScheduleNotFoundError) return null;
    throw err;
  }
}

/** In order, a few at a time. */
export async function inTurns<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let from = 0; from < items.length; from += atOnce)
    results.push(...(await Promise.all(items.slice(from, from + atOnce).map(work))));
  return results;
}

/** What the client throws of its own says little: who did not answer, and what it said. */
export async function reached<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (err) {
    if (!(err instanceof Error) || err.name !== 'ServiceError') throw err;
    const { cause } = err;
    const said = cause instanceof Error && 'details' in cause ? String(cause.details) : err.message;
    throw new MusterError('TEMPORAL_UNREACHABLE', `Temporal did not take a call about schedules: ${said}`, {
      cause: err,
    });
  }
}
