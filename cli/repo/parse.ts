import type { GroupBy } from '../../activities/backup/repository/retention.ts';
import { MusterError } from '../../workflows/engine/errors.ts';

/** Reading of options, in the words that restic's users know. Each throws CONFIG_INVALID naming the option. */

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `90s`, `5m`, `1h30m`, `2d`. @returns milliseconds */
export function parseDuration(option: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)];
  if (text !== '0' && (parts.length === 0 || parts.map(([part]) => part).join('') !== text)) {
    throw invalid(`${option} must be a duration like 30s, 5m or 1h30m, not "${text}"`);
  }
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * unitMs[unit as keyof typeof unitMs], 0);
}

/** How many snapshots to keep: a number, or `unlimited` (restic also takes -1). */
export function parseKeep(option: string, text: string): number | 'all' {
  if (text === 'unlimited' || text === '-1') return 'all';
  return parseWhole(option, text, 0);
}

export function parseWhole(option: string, text: string, least: number): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text);
  throw invalid(`${option} must be a whole number from ${least} on, not "${text}"`);
}

/** `--tag a,b --tag c`: (a and b) or c. An empty list stands for "no tags". */
export function parseTagLists(values: readonly string[]): string[][] {
  return values.map((value) => value.split(',').filter((tag) => tag !== ''));
}

/** `--tag a,b --tag c`, where they are given to something: a, b and c. */
export function parseTags(values: readonly string[]): string[] {
  return [...new Set(parseTagLists(values).flat())];
}

/** `latest`, `1a2b3c4d` or `1a2b3c4d:/a/path`. */
export function parseSnapshotPath(text: string): { snapshot: string; subpath: string | null } {
  const colon = text.indexOf(':');
  if (colon < 0) return { snapshot: text, subpath: null };
  return { snapshot: text.slice(0, colon), subpath: text.slice(colon + 1) };
}

/** `5%`, `0` or `unlimited`. @returns percent of what is kept */
export function parseMaxUnused(text: string): number {
  if (text === 'unlimited') return 100;
  const percent = /^(\d{1,3}(?:\.\d+)?)%?$/.exec(text);
  if (percent !== null && Number(percent[1]) <= 100 && (text.endsWith('%') || Number(percent[1]) === 0)) {
    return Number(percent[1]);
  }
  throw invalid(`--max-unused must be a share like 5%, 0 or unlimited, not "${text}"`);
}

const groups: Record<string, GroupBy> = {
  ...{ host: 'host', hosts: 'host', path: 'paths', paths: 'paths', tag: 'tags', tags: 'tags' },
};

/** `host,paths`; empty text puts all snapshots into one group. */
export function parseGroupBy(text: string): GroupBy[] {
  return text
    .split(',')
    .filter((name) => name !== '')
    .map((name) => {
      const group = groups[name];
      if (group === undefined) throw invalid(`--group-by knows host, paths and tags, not "${name}"`);
      return group;
    });
}

/** One of a few words. */
export function parseChoice<Choice extends string>(option: string, text: string, choices: readonly Choice[]): Choice {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw invalid(`${option} must be ${choices.join(', ')}, not "${text}"`);
}

export function invalid(message: string): MusterError {
  return new MusterError('CONFIG_INVALID', message);
}
