import { formatSeconds } from './format.ts';
import { gbt20988of2007, type LevelTable, type RecoveryLevel } from './levels.ts';
import type { LevelReport, RunReport } from './model.ts';

/** The level that the estate claims, beside what was measured. A comparison, not a certificate. */
export function levelOf(
  claimed: string | null,
  runs: readonly RunReport[],
  table: LevelTable = gbt20988of2007,
): LevelReport | null {
  if (claimed === null) return null;
  const level = table.levels.find((row) => row.level === claimed);
  return {
    claimed,
    edition: table.edition,
    name: level?.name ?? null,
    exampleRto: level?.exampleRto ?? null,
    exampleRpo: level?.exampleRpo ?? null,
    standing: table.standing,
    sentence: level === undefined ? `${table.edition} has no level ${claimed}.` : comparison(level, runs),
  };
}

function comparison(level: RecoveryLevel, runs: readonly RunReport[]): string {
  const rtos = runs.flatMap((run) => (run.rto === null ? [] : [run.rto[run.rto.basis].seconds]));
  const rpos = runs.flatMap((run) => (run.rpo === null ? [] : [run.rpo.seconds]));
  return `${side('RTO', rtos, level.longestRtoSeconds, level.exampleRto)} ${side('RPO', rpos, level.longestRpoSeconds, level.exampleRpo)}`;
}

function side(name: string, measured: readonly (number | null)[], longest: number | null, example: string): string {
  const known = measured.filter((seconds) => seconds !== null);
  if (measured.length === 0 || known.length < measured.length)
    return `The ${name} is not known, so nothing is compared.`;
  const worst = Math.max(...known);
  if (longest === null)
    return `The ${name} of ${formatSeconds(worst)} has no number to be held against (“${example}”).`;
  return `The ${name} of ${formatSeconds(worst)} ${worst <= longest ? 'keeps to' : 'exceeds'} “${example}”.`;
}
