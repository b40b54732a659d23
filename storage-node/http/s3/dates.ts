const dayMs = 86_400_000;
const two = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));
// A listing has a thousand times: each is put together from three texts that are there already.
const minutes = Array.from({ length: 1440 }, (_, minute) => `${two[Math.floor(minute / 60)]}:${two[minute % 60]}:`);
const seconds = two.map((second) => `${second}.000Z`);
/** The day formatted last: a listing's objects are mostly of few days. */
let known = { day: Number.NaN, text: '' };

/** As S3's documents write a time: whole seconds, like its headers, with `.000Z`. */
export function isoTime(unixMs: number): string {
  const day = Math.floor(unixMs / dayMs);
  if (day !== known.day) known = { day, text: new Date(day * dayMs).toISOString().slice(0, 11) };
  const second = Math.floor((unixMs - day * dayMs) / 1000);
  return known.text + minutes[Math.floor(second / 60)]! + seconds[second % 60]!;
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
