/** Times of the estate: how often something is done, and how long something may take or last. All in UTC. */

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
export const daySeconds = 86_400;

/** Days at most between two turns, for what goes by the calendar. */
const calendarDays = { daily: 1, weekly: 7, monthly: 31, quarterly: 92, yearly: 366 } as const;
type CalendarWord = keyof typeof calendarDays;

export const spanPattern = /^[1-9]\d{0,5}[smhdw]$/;
export const intervalPattern = /^([1-9]\d{0,5}[smhdw]|hourly|daily|weekly|monthly|quarterly|yearly)$/;
export const timeOfDayPattern = /^([01]\d|2[0-3]):[0-5]\d$/;

/** When something is done: every so many seconds from an offset since 1970, or at a time of day on days of the calendar. */
export type When =
  | { kind: 'interval'; everySeconds: number; offsetSeconds: number }
  | {
      kind: 'calendar';
      hour: number;
      minute: number;
      /** 0 is Sunday; null is any day. */
      dayOfWeek: number | null;
      dayOfMonth: number | null;
      /** 1 to 12; null is every month. */
      months: number[] | null;
    };

/** Seconds of `90s`, `30m`, `6h`, `1d`, `2w`; NaN for anything else. */
export function spanSeconds(text: string): number {
  if (!spanPattern.test(text)) return Number.NaN;
  return Number(text.slice(0, -1)) * (unitSeconds[text.slice(-1)] ?? Number.NaN);
}

/** The longest time between two turns of an interval (a month has up to 31 days), seconds; NaN when it is none. */
export function longestGapSeconds(every: string): number {
  if (every === 'hourly') return 3_600;
  return isCalendarWord(every) ? calendarDays[every] * daySeconds : spanSeconds(every);
}

/** Whether a time of day means anything to an interval: it does when it is made of whole days. */
export function hasTimeOfDay(every: string): boolean {
  return isCalendarWord(every) || spanSeconds(every) % daySeconds === 0;
}

/**
 * When an interval's turns are. Weekly is on Sundays, monthly on the first of the month, quarterly and yearly on the
 * first of January and so on; `2w` counts from a Sunday.
 * @param at `02:30`, UTC: for what is made of whole days
 */
export function whenOf(every: string, at: string): When {
  const [hour = 0, minute = 0] = at.split(':').map(Number);
  const day = { kind: 'calendar', hour, minute, dayOfWeek: null, dayOfMonth: null, months: null } as const;
  switch (every) {
    case 'hourly':
      return { kind: 'interval', everySeconds: 3_600, offsetSeconds: 0 };
    case 'daily':
      return day;
    case 'weekly':
      return { ...day, dayOfWeek: 0 };
    case 'monthly':
      return { ...day, dayOfMonth: 1 };
    case 'quarterly':
      return { ...day, dayOfMonth: 1, months: [1, 4, 7, 10] };
    case 'yearly':
      return { ...day, dayOfMonth: 1, months: [1] };
    default:
      return { kind: 'interval', everySeconds: spanSeconds(every), offsetSeconds: offsetOf(every, hour, minute) };
  }
}

/** 1970 began on a Thursday: its first Sunday is three days on. */
function offsetOf(every: string, hour: number, minute: number): number {
  const everySeconds = spanSeconds(every);
  if (everySeconds % daySeconds !== 0) return 0;
  const days = everySeconds % (7 * daySeconds) === 0 ? 3 : 0;
  return days * daySeconds + hour * 3_600 + minute * 60;
}

function isCalendarWord(every: string): every is CalendarWord {
  return Object.hasOwn(calendarDays, every);
}
