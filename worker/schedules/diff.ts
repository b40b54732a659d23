import type { Json } from '../../workflows/engine/plan.ts';
import type { ActualSchedule, DesiredSchedule, ScheduleContent } from './content.ts';
import { readFailoverNote } from './pause-note.ts';

/** One field that is not as it should be; null where there is nothing on that side. */
export interface FieldChange {
  /** `every`, `jitterSeconds`, `order.vault.name`, ... */
  field: string;
  from: Json;
  to: Json;
}

/** What has to be done to a schedule, and why. */
export type ScheduleStep =
  | { kind: 'create'; id: string; desired: DesiredSchedule }
  /** The estate says something else than when it was applied. */
  | { kind: 'change'; id: string; desired: DesiredSchedule; changes: FieldChange[] }
  /** Somebody has changed it in Temporal. `pausedByHand`: it is left paused, whoever applies. */
  | { kind: 'drifted'; id: string; desired: DesiredSchedule; changes: FieldChange[]; pausedByHand: string | null }
  | { kind: 'same'; id: string; pausedBy: string | null }
  | { kind: 'remove'; id: string; actual: ActualSchedule }
  /** One of that name is there that is not this estate's: it is left alone. */
  | { kind: 'foreign'; id: string; owner: string };

/**
 * What lies between what the estate asks for and what Temporal has. Pure.
 * @param estate mark of this estate: schedules of others are never removed
 * @param foreign ids that are taken by schedules without our mark
 */
export function diffSchedules(
  desired: readonly DesiredSchedule[],
  actual: readonly ActualSchedule[],
  estate: string,
  foreign: readonly string[] = [],
): ScheduleStep[] {
  const there = new Map(actual.map((schedule) => [schedule.id, schedule]));
  const wanted = new Set(desired.map(({ id }) => id));
  const steps = desired.map((one) => stepFor(one, there.get(one.id), estate, foreign));
  const removals = actual
    .filter(({ id, estate: owner }) => owner === estate && !wanted.has(id))
    .map((schedule): ScheduleStep => ({ kind: 'remove', id: schedule.id, actual: schedule }));
  return [...steps, ...removals];
}

/** Whether anything is not as the estate wants it. */
export function hasDrift(steps: readonly ScheduleStep[]): boolean {
  return steps.some(({ kind }) => kind !== 'same');
}

function stepFor(
  desired: DesiredSchedule,
  actual: ActualSchedule | undefined,
  estate: string,
  foreign: readonly string[],
): ScheduleStep {
  const { id } = desired;
  if (foreign.includes(id)) return { kind: 'foreign', id, owner: 'nobody' };
  if (actual === undefined) return { kind: 'create', id, desired };
  if (actual.estate !== estate) return { kind: 'foreign', id, owner: actual.estate };
  const changes = changesBetween(fieldsOf(actual), fieldsOf(desired));
  const pausedByHand = actual.paused && readFailoverNote(actual.note) === null ? actual.note : null;
  const isByHand = pausedByHand !== null || actual.hash !== actual.appliedHash;
  if (changes.length === 0 && pausedByHand === null && desired.hash === actual.appliedHash)
    return { kind: 'same', id, pausedBy: actual.paused ? actual.note : null };
  if (!isByHand) return { kind: 'change', id, desired, changes };
  const pause: FieldChange[] = pausedByHand === null ? [] : [{ field: 'paused', from: pausedByHand, to: null }];
  return { kind: 'drifted', id, desired, changes: [...changes, ...pause], pausedByHand };
}

/** Every value by the name that a person knows it by. */
function fieldsOf({ subject, content }: Pick<DesiredSchedule, 'subject' | 'content'>): Map<string, Json> {
  const { args, when, ...rest } = content satisfies ScheduleContent;
  const { gapSeconds: _gap, ...about } = subject;
  const fields = new Map<string, Json>();
  flatten('', { ...about, ...rest } as unknown as Json, fields);
  flatten('when', when as unknown as Json, fields);
  // Of the arguments people care for the order; what surrounds it follows from the schedule's name.
  for (const [index, arg] of args.entries()) {
    const { args: orders, ...around } = arg;
    flatten(index === 0 ? 'input' : `input[${index}]`, around as Json, fields);
    if (Array.isArray(orders)) for (const order of orders) flatten('order', order, fields);
  }
  return fields;
}

function flatten(name: string, value: Json | undefined, into: Map<string, Json>): void {
  if (Array.isArray(value)) {
    if (value.length === 0) into.set(name, []);
    for (const [index, item] of value.entries()) flatten(`${name}[${index}]`, item, into);
  } else if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    if (entries.length === 0) into.set(name, {});
    for (const [key, item] of entries) flatten(name === '' ? key : `${name}.${key}`, item, into);
  } else into.set(name, value ?? null);
}

function changesBetween(from: ReadonlyMap<string, Json>, to: ReadonlyMap<string, Json>): FieldChange[] {
  const fields = new Set([...from.keys(), ...to.keys()]);
  return [...fields]
    .toSorted()
    .map((field) => ({ field, from: from.get(field) ?? null, to: to.get(field) ?? null }))
    .filter((change) => JSON.stringify(change.from) !== JSON.stringify(change.to));
}
