/**
 * Times as restic writes them: RFC 3339 with as many digits of a second as are not zero, to nanoseconds, and an offset.
 * Muster writes UTC, so that trees do not depend on the zone of whoever made them.
 */

const nanosPerSecond = 1_000_000_000n;
/** Go cannot write other years; restic moves times outside into these. */
const firstSecond = Date.parse('0000-01-01T00:00:00Z') / 1000;
const lastSecond = Date.parse('9999-12-31T23:59:59Z') / 1000;

/** @param ns nanoseconds since 1970 */
export function formatTime(ns: bigint, offsetMinutes = 0): string {
  let seconds = ns / nanosPerSecond;
  let nanos = ns % nanosPerSecond;
  if (nanos < 0n) {
    nanos += nanosPerSecond;
    seconds -= 1n;
  }
  return formatSeconds(Number(seconds), Number(nanos), offsetMinutes);
}

/** Like `formatTime`, without big integers: whole seconds since 1970, and nanoseconds from 0 to 999,999,999. */
export function formatSeconds(seconds: number, nanos: number, offsetMinutes = 0): string {
  const shown = Math.min(Math.max(seconds + offsetMinutes * 60, firstSecond), lastSecond);
  const whole = new Date(shown * 1000).toISOString().slice(0, 19);
  const fraction = nanos === 0 ? '' : `.${String(nanos).padStart(9, '0')}`.replace(/0+$/, '');
  return whole + fraction + zoneOf(offsetMinutes);
}

function zoneOf(offsetMinutes: number): string {
  if (offsetMinutes === 0) return 'Z';
  const minutes = Math.abs(offsetMinutes);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

const rfc3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|([+-])(\d\d):(\d\d))$/;

/** Nanoseconds since 1970; null for what is no RFC 3339 time. */
export function parseTime(text: string): bigint | null {
  const found = rfc3339.exec(text);
  if (found === null) return null;
  const ms = Date.parse(`${found[1] as string}Z`);
  if (Number.isNaN(ms)) return null;
  const offset = (offsetMinutesOf(text) ?? 0) * 60;
  return BigInt(ms / 1000 - offset) * nanosPerSecond + BigInt((found[2] ?? '').padEnd(9, '0'));
}

/** The offset a time is written with, in minutes east of Greenwich; null for what is no RFC 3339 time. */
export function offsetMinutesOf(text: string): number | null {
  const found = rfc3339.exec(text);
  if (found === null) return null;
  if (found[3] === 'Z') return 0;
  return (found[4] === '-' ? -1 : 1) * (Number(found[5]) * 60 + Number(found[6]));
}
