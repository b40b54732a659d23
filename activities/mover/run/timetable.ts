import { MusterError } from '../../../workflows/engine/errors.ts';

/** Rates by the time of the week, in the manner of rclone: `10M`, or `08:00,10M 18:00,off`, or `Mon-08:00,1M ...`. */
export interface Timetable {
  /** In the order of the week; the last one of a week goes on into the next. */
  steps: readonly { minuteOfWeek: number; rate: number | undefined }[];
}

const minutesOfDay = 24 * 60;
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const units: Readonly<Record<string, number>> = { '': 1024, B: 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

/** Bytes per second; without a unit KiB, as in rclone. `off` is no limit. @throws CONFIG_INVALID */
export function parseRate(text: string): number | undefined {
  if (text === 'off') return undefined;
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([BKMGT]?)(?:iB?|B)?$/i.exec(text) ?? [];
  const rate = Number(number) * units[unit.toUpperCase()]!;
  if (number === '' || rate <= 0)
    throw new MusterError('CONFIG_INVALID', `"${text}" is no rate such as 10M or off (bytes a second)`);
  return rate;
}

/** Bytes; without a unit KiB, as in rclone. @throws CONFIG_INVALID */
export function parseSize(text: string): number {
  if (/^0[BKMGT]?$/i.test(text)) return 0;
  try {
    const bytes = parseRate(text);
    if (bytes !== undefined) return bytes;
  } catch {
    // What it should have been is said below, of a size.
  }
  throw new MusterError('CONFIG_INVALID', `"${text}" is no size such as 500B, 10K or 2G (a number alone is KiB)`);
}

/** @throws CONFIG_INVALID naming the entry that cannot be read */
export function parseTimetable(text: string, rateOf = parseRate): Timetable {
  const entries = text.trim().split(/\s+/);
  if (entries.length === 1 && !entries[0]!.includes(','))
    return { steps: [{ minuteOfWeek: 0, rate: rateOf(entries[0]!) }] };
  const steps = entries.flatMap((entry) => {
    const [, day, hour, minute, rate] = /^(?:([a-z]{3})[a-z]*-)?(\d{1,2}):(\d{2}),(\S+)$/i.exec(entry) ?? [];
    const at = Number(hour) * 60 + Number(minute);
    const on = day === undefined ? days.map((_, i) => i) : [days.indexOf(day.toLowerCase())];
    if (rate === undefined || Number(hour) > 23 || Number(minute) > 59 || on.includes(-1))
      throw new MusterError('CONFIG_INVALID', `"${entry}" is no entry such as 08:00,10M or Mon-18:00,off`);
    return on.map((one) => ({ minuteOfWeek: one * minutesOfDay + at, rate: rateOf(rate) }));
  });
  return { steps: steps.toSorted((a, b) => a.minuteOfWeek - b.minuteOfWeek) };
}

/** The rate of a moment, by the local time of this machine; undefined for no limit. */
export function rateAt({ steps }: Timetable, at: Date): number | undefined {
  const minute = at.getDay() * minutesOfDay + at.getHours() * 60 + at.getMinutes();
  return (steps.findLast(({ minuteOfWeek }) => minuteOfWeek <= minute) ?? steps.at(-1))?.rate;
}
