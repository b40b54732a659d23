/** Between our descriptions and Temporal's: there and back gives the same. */
import type { ScheduleDescription, ScheduleOptions, ScheduleSpec, ScheduleSpecDescription } from '@temporalio/client';
import type { When } from '../../runbooks/intervals.ts';
import type { Json, JsonObject } from '../../workflows/engine/plan.ts';
import type { ActualSchedule, DesiredSchedule, ScheduleContent, ScheduleSubject, ScheduleTurns } from './content.ts';
import { hashOf } from './desired.ts';

const months = [
  'JANUARY',
  'FEBRUARY',
  'MARCH',
  'APRIL',
  'MAY',
  'JUNE',
  'JULY',
  'AUGUST',
  'SEPTEMBER',
  'OCTOBER',
  'NOVEMBER',
  'DECEMBER',
] as const;
const daysOfWeek = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'] as const;

/**
 * The marks of a schedule. Its own memo is written once and for ever, so that it only says whose it is; the memo of what
 * it starts changes with every update and says what was applied.
 */
interface OwnerMark {
  managedBy: 'muster';
  estate: string;
}
interface AppliedMark extends ScheduleSubject {
  hash: string;
}
const ownerKey = 'muster';
const appliedKey = 'muster-schedule';

/** Whose a schedule is; null when it is not ours. */
export function ownerOf(memo: Record<string, unknown> | undefined): string | null {
  const mark = memo?.[ownerKey] as Partial<OwnerMark> | undefined;
  return mark?.managedBy === 'muster' && typeof mark.estate === 'string' ? mark.estate : null;
}

/** What Temporal is told of a schedule, but for whether it is paused. */
export function toOptions(
  { id, subject, content, hash }: DesiredSchedule,
  estate: string,
): ScheduleOptions & { policies: NonNullable<ScheduleOptions['policies']> } {
  const { workflowType, workflowId, taskQueue, summary, args } = content;
  const applied: AppliedMark = { ...subject, hash };
  const owner: OwnerMark = { managedBy: 'muster', estate };
  return {
    scheduleId: id,
    spec: toSpec(content),
    action: {
      type: 'startWorkflow',
      workflowType,
      workflowId,
      taskQueue,
      args,
      staticSummary: summary,
      memo: { [appliedKey]: applied },
    },
    policies: {
      overlap: 'SKIP',
      catchupWindow: content.catchUpSeconds * 1_000,
      pauseOnFailure: content.pauseOnFailure,
    },
    memo: { [ownerKey]: owner },
  };
}

function toSpec({ when, jitterSeconds }: ScheduleContent): ScheduleSpec {
  const common = { jitter: jitterSeconds * 1_000, timezone: 'UTC' };
  switch (when.kind) {
    case 'interval':
      return { ...common, intervals: [{ every: when.everySeconds * 1_000, offset: when.offsetSeconds * 1_000 }] };
    case 'calendar':
      return { ...common, calendars: [toCalendar(when)] };
    case 'other':
      throw new TypeError('no estate asks for such a time');
  }
}

type Calendar = Extract<When, { kind: 'calendar' }>;

function toCalendar({ hour, minute, dayOfWeek, dayOfMonth, months: of }: Calendar) {
  return {
    hour,
    minute,
    ...(dayOfMonth !== null && { dayOfMonth }),
    ...(of !== null && { month: of.map((month) => months[month - 1] ?? 'JANUARY') }),
    ...(dayOfWeek !== null && { dayOfWeek: daysOfWeek[dayOfWeek] ?? 'SUNDAY' }),
  };
}

/** One of our schedules as Temporal describes it; null when it is not ours. */
export function fromDescription(found: ScheduleDescription): ActualSchedule | null {
  const estate = ownerOf(found.memo);
  if (estate === null) return null;
  const applied = found.action.memo?.[appliedKey] as Partial<AppliedMark> | undefined;
  const { service = '', site = null, every = '', gapSeconds = 0, hash: appliedHash = '' } = applied ?? {};
  const subject = { service, site, every, gapSeconds };
  const content = contentOf(found);
  return {
    id: found.scheduleId,
    estate,
    subject,
    content,
    hash: hashOf(subject, content),
    appliedHash,
    paused: found.state.paused,
    note: found.state.note ?? '',
    turns: turnsOf(found),
  };
}

function contentOf({ spec, action, policies, state }: ScheduleDescription): ScheduleContent {
  return {
    workflowType: action.workflowType,
    workflowId: action.workflowId ?? '',
    taskQueue: action.taskQueue,
    summary: action.staticSummary ?? '',
    args: (action.args ?? []) as JsonObject[],
    when: whenOf(spec),
    timezone: ['', 'UTC', 'Etc/UTC'].includes(spec.timezone ?? '') ? 'UTC' : (spec.timezone ?? ''),
    jitterSeconds: (spec.jitter ?? 0) / 1_000,
    catchUpSeconds: policies.catchupWindow / 1_000,
    overlap: policies.overlap ?? 'SKIP',
    pauseOnFailure: policies.pauseOnFailure,
    remainingTurns: state.remainingActions ?? null,
  };
}

function whenOf(spec: ScheduleSpecDescription): ScheduleContent['when'] {
  const { calendars = [], intervals = [], skip = [], startAt, endAt } = spec;
  const isPlain = skip.length === 0 && startAt === undefined && endAt === undefined;
  const [interval] = intervals;
  const [calendar] = calendars;
  if (isPlain && interval !== undefined && intervals.length === 1 && calendars.length === 0) {
    // An offset that was never given comes back as nothing.
    const offset = interval.offset as number | undefined;
    return { kind: 'interval', everySeconds: interval.every / 1_000, offsetSeconds: (offset ?? 0) / 1_000 };
  }
  const read = calendar === undefined || intervals.length > 0 || calendars.length > 1 ? null : fromCalendar(calendar);
  if (isPlain && read !== null) return read;
  const { timezone: _timezone, jitter: _jitter, ...rest } = spec;
  return { kind: 'other', spec: JSON.parse(JSON.stringify(rest)) as Json };
}

type CalendarDescription = NonNullable<ScheduleSpecDescription['calendars']>[number];
type Unit = number | string;

function fromCalendar(found: CalendarDescription): Calendar | null {
  const [second, minute, hour] = [found.second, found.minute, found.hour].map((ranges) => onlyOf(ranges));
  const days = valuesOf(
    found.dayOfMonth,
    Array.from({ length: 31 }, (_, day) => day + 1),
  );
  const weekdays = valuesOf(found.dayOfWeek, daysOfWeek);
  const of = valuesOf(found.month, months);
  if (second !== 0 || typeof minute !== 'number' || typeof hour !== 'number' || found.year.length > 0) return null;
  const [dayOfMonth = null, ...moreDays] = days ?? [];
  const [weekday = null, ...moreWeekdays] = weekdays ?? [];
  if (moreDays.length > 0 || moreWeekdays.length > 0) return null;
  return {
    kind: 'calendar',
    hour,
    minute,
    dayOfWeek: weekday === null ? null : daysOfWeek.indexOf(weekday),
    dayOfMonth,
    months: of === null ? null : of.map((month) => months.indexOf(month) + 1),
  };
}

interface Range<T> {
  start: T;
  end: T;
  step: number;
}

function onlyOf(ranges: readonly Range<number>[]): Unit | null {
  const [range, ...more] = ranges;
  return range === undefined || more.length > 0 || range.start !== range.end ? null : range.start;
}

/** The values that ranges over an ordered set stand for; null for all of them. */
function valuesOf<T extends Unit>(ranges: readonly Range<T>[], all: readonly T[]): T[] | null {
  if (ranges.length === 0) return null;
  const meant = new Set<T>();
  for (const { start, end, step } of ranges)
    for (let at = all.indexOf(start); at <= all.indexOf(end); at += Math.max(1, step)) meant.add(all[at] as T);
  return meant.size === all.length ? null : all.filter((value) => meant.has(value));
}

function turnsOf({ info }: ScheduleDescription): ScheduleTurns {
  const last = info.recentActions.at(-1);
  return {
    createdAtMs: info.createdAt.getTime(),
    updatedAtMs: (info.lastUpdatedAt ?? info.createdAt).getTime(),
    nextAtMs: info.nextActionTimes[0]?.getTime() ?? null,
    taken: info.numActionsTaken,
    missed: info.numActionsMissedCatchupWindow,
    skipped: info.numActionsSkippedOverlap,
    last:
      last === undefined
        ? null
        : {
            workflowId: last.action.workflow.workflowId,
            runId: last.action.workflow.firstExecutionRunId,
            dueAtMs: last.scheduledAt.getTime(),
            takenAtMs: last.takenAt.getTime(),
          },
    running: info.runningActions.map(({ workflow }) => workflow.workflowId),
  };
}
