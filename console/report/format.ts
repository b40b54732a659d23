/** How numbers and moments are written, the same in sentences, tables, pictures and on the terminal. */

/** A duration of at least 0, e.g. `340 ms`, `2.94 s`, `34.2 s`, `2 min 05 s`, `3 h 20 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds === 0) return '0 s';
  if (seconds < 0.0005) return '< 1 ms';
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${trimmed(seconds, seconds < 9.995 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return inTwo(whole, 60, 'min', 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return inTwo(minutes, 60, 'h', 'min');
  return inTwo(Math.round(seconds / 3600), 24, 'd', 'h');
}

/** `30` stays `30`: decimals that say nothing are left out of whole numbers only. */
function trimmed(value: number, decimals: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(decimals);
}

function inTwo(value: number, base: number, large: string, small: string): string {
  const rest = value % base;
  const head = `${Math.floor(value / base)} ${large}`;
  return rest === 0 ? head : `${head} ${String(rest).padStart(2, '0')} ${small}`;
}

export function formatMs(ms: number): string {
  return ms < 0 ? `−${formatSeconds(-ms / 1000)}` : formatSeconds(ms / 1000);
}

/** `1 row`, `2 rows`, `1,204 rows`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${formatInteger(n)} ${n === 1 ? one : many}`;
}

export function formatInteger(n: number): string {
  return n.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** Any figure with its unit; bytes in powers of 1024. */
export function formatFigure(value: number, unit: string): string {
  if (unit === 's') return formatSeconds(Math.abs(value));
  if (unit === 'ms') return formatMs(value);
  if (unit === 'bytes' || unit === 'B') return formatBytes(value);
  return `${value.toLocaleString('en-US', { maximumFractionDigits: 3 })}${unit === '' ? '' : ` ${unit}`}`;
}

function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

export interface MomentFormat {
  /** `2026-11-20 09:14:03` */
  full(atMs: number): string;
  /** `09:14:03.482` */
  time(atMs: number): string;
  zone: string;
}

/** @param timeZone IANA name, e.g. `Asia/Shanghai`; UTC otherwise */
export function momentFormat(timeZone = 'UTC'): MomentFormat {
  const date = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;
  const time = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const;
  const full = new Intl.DateTimeFormat('sv-SE', { ...date, ...time, timeZone });
  const exact = new Intl.DateTimeFormat('en-GB', { ...time, fractionalSecondDigits: 3, timeZone });
  return { full: (atMs) => full.format(atMs), time: (atMs) => exact.format(atMs), zone: timeZone };
}
