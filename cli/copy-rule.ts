import { parseRate, parseTimetable } from '../activities/mover/run/timetable.ts';
import { type FilterRule } from '../activities/mover/run/filter.ts';
import { type PassRule, usualCopyRule, usualPassRule } from '../activities/mover/run/pass.ts';
import { MusterError } from '../workflows/engine/errors.ts';

/** What `muster copy` was told, as commander gives it. */
export interface CopyFlags {
  state?: string;
  delete?: boolean;
  deleteGuard: string;
  dryRun?: boolean;
  compareOnly?: boolean;
  download?: boolean;
  properties?: boolean;
  include: string[];
  exclude: string[];
  minSize?: string;
  maxSize?: string;
  minAge?: string;
  maxAge?: string;
  tag: string[];
  transfers: string;
  parts: string;
  partSize: string;
  listers: string;
  bwlimit?: string;
  tpslimit?: string;
  verify?: string;
  versions?: boolean;
  compareBy: string;
  overwrite: string;
  epoch: string;
  origin: string;
  storageClass: string;
  tags: boolean;
  locks: boolean;
  restoreArchived?: string;
  credentialsWait: string;
  follow?: boolean;
  every: string;
  json?: boolean;
}

/** @throws CONFIG_INVALID naming the option */
export function ruleOf(flags: CopyFlags): PassRule {
  const { delete: deletes, bwlimit, tpslimit } = flags;
  if (flags.dryRun === true && flags.compareOnly === true) throw wrong('--dry-run', 'is no use with --compare-only');
  const mode = flags.compareOnly === true ? 'compare' : flags.dryRun === true ? 'plan' : 'do';
  const perSecond = (text: string): number | undefined => (text === 'off' ? undefined : positive('--tpslimit', text));
  return {
    ...usualPassRule,
    ...{
      mode,
      versions: flags.versions === true,
      compareBytes: flags.download === true,
      compareProperties: flags.properties === true,
      filter: filterOf(flags),
    },
    compareBy: oneOf('--compare-by', flags.compareBy, ['content', 'time', 'size'] as const),
    copy: {
      ...usualCopyRule,
      overwrite: oneOf('--overwrite', flags.overwrite, ['ours', 'older', 'always'] as const),
      epoch: whole('--epoch', flags.epoch, 0),
      origin: flags.origin,
      carry: { storageClass: flags.storageClass, tags: flags.tags, locks: flags.locks },
      restoreDays: flags.restoreArchived === undefined ? 0 : whole('--restore-archived', flags.restoreArchived, 1),
      partBytes: sizeOf('--part-size', flags.partSize),
    },
    ...(deletes === true ? { deleteShare: share('--delete-guard', flags.deleteGuard) } : {}),
    verifyShare: flags.verify === undefined ? 0 : share('--verify', flags.verify),
    transfers: whole('--transfers', flags.transfers, 1),
    parallelParts: whole('--parts', flags.parts, 1),
    listers: whole('--listers', flags.listers, 1),
    ...(bwlimit === undefined ? {} : { bandwidth: named('--bwlimit', () => parseTimetable(bwlimit)) }),
    ...(tpslimit === undefined ? {} : { requests: named('--tpslimit', () => parseTimetable(tpslimit, perSecond)) }),
    credentialsWaitMs: durationOf('--credentials-wait', flags.credentialsWait),
  };
}

function filterOf(flags: CopyFlags): FilterRule {
  const { include, exclude, minSize, maxSize, minAge, maxAge, tag } = flags;
  const tags = tag.map((text): [string, string] => {
    const cut = text.indexOf('=');
    if (cut < 1) throw wrong('--tag', `must read name=value, not "${text}"`);
    return [text.slice(0, cut), text.slice(cut + 1)];
  });
  return {
    ...{ include, exclude },
    ...(minSize === undefined ? {} : { minSizeBytes: sizeOf('--min-size', minSize) }),
    ...(maxSize === undefined ? {} : { maxSizeBytes: sizeOf('--max-size', maxSize) }),
    ...(minAge === undefined ? {} : { minAgeMs: durationOf('--min-age', minAge) }),
    ...(maxAge === undefined ? {} : { maxAgeMs: durationOf('--max-age', maxAge) }),
    ...(tags.length === 0 ? {} : { tags: Object.fromEntries(tags) }),
  };
}

function sizeOf(option: string, text: string): number {
  return named(option, () => parseRate(text)) ?? Infinity;
}

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Milliseconds of `90s`, `15m`, `12h`, `7d`. */
export function durationOf(option: string, text: string): number {
  const [, number = '', unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)?$/.exec(text) ?? [];
  if (number === '') throw wrong(option, `must be a time such as 90s, 15m, 12h or 7d, not "${text}"`);
  return Number(number) * units[unit]!;
}

function share(option: string, text: string): number {
  const percent = Number(text.replace(/%$/, ''));
  if (text === '' || Number.isNaN(percent) || percent < 0 || percent > 100)
    throw wrong(option, `must be a percentage from 0 to 100, not "${text}"`);
  return percent / 100;
}

function whole(option: string, text: string, least: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (value < least) throw wrong(option, `must be a whole number from ${least}, not "${text}"`);
  return value;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw wrong(option, `must be a number above 0 or off, not "${text}"`);
  return value;
}

function oneOf<const T extends string>(option: string, text: string, all: readonly T[]): T {
  const found = all.find((one) => one === text);
  if (found === undefined) throw wrong(option, `must be one of ${all.join(', ')}, not "${text}"`);
  return found;
}

function named<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (err) {
    throw wrong(option, err instanceof Error ? err.message : String(err));
  }
}

function wrong(option: string, why: string): MusterError {
  return new MusterError('CONFIG_INVALID', `${option}: ${why}`);
}
