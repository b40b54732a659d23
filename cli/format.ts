/** How numbers, times and names are shown to people. Programs get exact numbers by `--json`. */

const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `999 B`, `1.5 KiB`, `340.2 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  let [value, unit] = [bytes / 1024, 0];
  // What would round to 1024.0 is one of the next unit.
  while (value >= 1023.95 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${value.toFixed(1)} ${units[unit] as string}`;
}

/** `1,234,567`. */
export function formatCount(count: number): string {
  return String(Math.round(count)).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 file`, `2 files`, `3 directories`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `0:07`, `1:02:33`: how long something takes that is shown while it runs. */
export function formatClock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** `0.4 s`, `12 s`, `3:07`: how long something took. */
export function formatElapsed(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  return seconds < 99.5 ? `${Math.round(seconds)} s` : formatClock(seconds);
}

/** `12 s`, `3 minutes`, `5 hours`, `30 days`. */
export function formatAge(seconds: number): string {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 2 * 3_600) return `${Math.round(seconds / 60)} minutes`;
  if (seconds < 2 * 86_400) return `${Math.round(seconds / 3_600)} hours`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** A moment in the zone of whoever looks: `2026-03-01 14:05:09`. @param time RFC 3339 */
export function formatTime(time: string): string {
  const date = new Date(time.replace(/(\.\d{3})\d+/, '$1'));
  if (Number.isNaN(date.getTime())) return time;
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/**
 * A name as it can be shown: control characters could move the cursor, colour the terminal or fake a line, and are
 * written as `\x1b`.
 */
export function printable(text: string): string {
  return text.replaceAll(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\${character < '\u0100' ? 'x' : 'u'}${hexOf(character)}`,
  );
}

function hexOf(character: string): string {
  const code = character.charCodeAt(0);
  return code.toString(16).padStart(code < 0x100 ? 2 : 4, '0');
}

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

/** Rows under titles, each column as wide as its widest cell. A cell may have lines, which stand below each other. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = rows.flatMap(linesOf);
  const widths = columns.map(({ title }, i) =>
    [title, ...lines.map((line) => line[i] ?? '')].reduce((widest, cell) => Math.max(widest, cell.length), 0),
  );
  const drawn = (cells: readonly string[]): string =>
    columns
      .map(({ align }, i) => (cells[i] ?? '')[align === 'right' ? 'padStart' : 'padEnd'](widths[i] as number))
      .join('  ')
      .trimEnd();
  return [columns.map(({ title }) => title), ...lines].map(drawn).join('\n');
}

function linesOf(row: readonly string[]): string[][] {
  const cells = row.map((cell) => cell.split('\n'));
  const height = cells.reduce((tallest, { length }) => Math.max(tallest, length), 1);
  return Array.from({ length: height }, (_, line) => cells.map((cell) => cell[line] ?? ''));
}
