import { MusterError } from '../../../workflows/engine/errors.ts';
import { offsetMinutesOf, parseTime } from './go-time.ts';

/** A span of the calendar, as restic writes it: `1y6m14d12h`. */
export interface CalendarSpan {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
}

const units = { y: 'years', m: 'months', d: 'days', h: 'hours' } as const;

/** @throws MusterError CONFIG_INVALID */
export function parseSpan(text: string): CalendarSpan {
  const span = { years: 0, months: 0, days: 0, hours: 0 };
  const parts = [...text.trim().matchAll(/(\d+)([ymdh])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text.trim()) {
    throw new MusterError('CONFIG_INVALID', `"${text}" is no span of time: write it like 1y6m14d12h`);
  }
  for (const [, number, unit] of parts) span[units[unit as keyof typeof units]] = Number(number);
  return span;
}

/**
 * The moment that lies a span before a time, in nanoseconds since 1970: by the calendar of the zone that the time is
 * written in, where a day that the month does not have counts into the next month, as Go does it.
 * @param time RFC 3339
 */
export function spanBefore(time: string, span: CalendarSpan): bigint {
  const ns = parseTime(time) ?? 0n;
  const date = localDate(time);
  const beforeMs = Date.UTC(
    date.getUTCFullYear() - span.years,
    date.getUTCMonth() - span.months,
    date.getUTCDate() - span.days,
  );
  const midnightMs = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
  return ns - BigInt(midnightMs - beforeMs + span.hours * 3_600_000) * 1_000_000n;
}

/** A date whose UTC fields are the local ones of a time: the clock on the wall where it was written. */
export function localDate(time: string): Date {
  const ms = Number((parseTime(time) ?? 0n) / 1_000_000n);
  return new Date(ms + (offsetMinutesOf(time) ?? 0) * 60_000);
}
