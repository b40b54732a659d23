import type { CopyFilter, CopyLeg, CopyOrder } from '../workflows/engine/copying.ts';
import { sizePattern, type CopyFile, type CopyRuleFile } from './copies-schema.ts';
import { spanSeconds } from './intervals.ts';

/** A copy of the estate: what is ordered, and when. */
export interface EstateCopy extends Omit<CopyOrder, 'mode' | 'startedBy'> {
  site: string | null;
  /** An interval of the estate; null when nothing starts it but a person. */
  every: string | null;
  /** `02:30`, UTC; null where the estate does not say. */
  at: string | null;
}

const gibibyte = 1024 ** 3;
const units: Readonly<Record<string, number>> = { K: 1024, M: 1024 ** 2, G: gibibyte, T: 1024 ** 4 };
/** Pieces in one run of the workflow: some hours, and a history that is read in a moment. */
const piecesPerRun = 50;
/** What may be deleted without being asked, percent. */
const usualDeleteGuard = 10;

export function buildCopy(name: string, file: CopyFile): EstateCopy {
  const { from, to, site, shard, measure, every, at } = file;
  const { versions, verify, compareBy, properties, overwrite, storageClass, bandwidth, requests, transfers } = file;
  return {
    ...{ name, from, to: to ?? null, site: site ?? null, measure, at: at ?? null },
    // A time of day alone is one of every day.
    every: every ?? (at === undefined ? null : 'daily'),
    legs: legsOf(file),
    rule: {
      ...{ versions, verifyShare: verify / 100, compareBy, properties, overwrite, storageClass, transfers },
      // Deletes of a pair are writes like others: they always go along.
      deleteShare: file.delete || file.direction === 'both' ? (file.deleteGuard ?? usualDeleteGuard) / 100 : null,
      ...{ bandwidth: bandwidth ?? null, requests: requests ?? null },
    },
    shard: { bytes: shard.gib * gibibyte, ms: shard.minutes * 60_000, perRun: piecesPerRun },
  };
}

function legsOf(file: CopyFile): CopyLeg[] {
  const { rules, direction, conflicts = 'keep' } = file;
  if (rules !== undefined) return rules.map(legOf);
  const all = { name: 'all', filter: filterOf(file) };
  return [direction === 'both' ? { ...all, kind: 'pair', conflicts } : { ...all, kind: 'copy', removeSource: false }];
}

function legOf(rule: CopyRuleFile): CopyLeg {
  const { name, tier, migrate } = rule;
  const filter = filterOf(rule);
  if (tier !== undefined) return { kind: 'tier', name, filter, storageClass: tier };
  return { kind: 'copy', name, filter, removeSource: migrate?.keepSource === false };
}

function filterOf(file: Omit<CopyRuleFile, 'name' | 'tier' | 'migrate'>): CopyFilter {
  const { prefix = '', include = [], exclude = [], minSize, maxSize, minAge, maxAge, tag = {} } = file;
  return {
    ...{ prefix, include, exclude, tags: tag },
    ...{ minSizeBytes: sizeOf(minSize), maxSizeBytes: sizeOf(maxSize) },
    ...{ minAgeSeconds: ageOf(minAge), maxAgeSeconds: ageOf(maxAge) },
  };
}

function sizeOf(text: string | undefined): number | null {
  const [, number, unit = ''] = sizePattern.exec(text ?? '') ?? [];
  return number === undefined ? null : Math.round(Number(number) * (units[unit] ?? 1));
}

function ageOf(text: string | undefined): number | null {
  return text === undefined ? null : spanSeconds(text);
}
