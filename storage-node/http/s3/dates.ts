export const dayMs = 86_400_000;
const two = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));
/** The day formatted last: a listing's objects are mostly of few days, and formatting a date costs a microsecond. */
let known = { day: Number.NaN, text: '' };

/** `2009-11-11T` of a day counted from 1970. */
export function dayText(day: number): string {
  if (day !== known.day) known = { day, text: new Date(day * dayMs).toISOString().slice(0, 11) };
  return known.text;
}

/** As S3's documents write a time: whole seconds, like its headers, with `.000Z`. */
export function isoTime(unixMs: number): string {
  const day = Math.floor(unixMs / dayMs);
  const second = Math.floor((unixMs - day * dayMs) / 1000);
  const minute = Math.floor(second / 60);
  return `${dayText(day)}${two[Math.floor(minute / 60)]}:${two[minute % 60]}:${two[second % 60]}.000Z`;
}

/** As HTTP headers write a time (RFC 9110 §5.6.7). */
export function httpDate(unixMs: number): string {
  return new Date(unixMs).toUTCString();
}

/** Unix milliseconds; undefined for what is no date: HTTP has such a condition ignored. */
export function parseDate(text: string): number | undefined {
  const unixMs = Date.parse(text);
  return Number.isNaN(unixMs) ? undefined : unixMs;
}
