import { parseSize, parseTimetable } from '../activities/mover/run/timetable.ts';
import { type PairRule } from '../activities/mover/pair/pair.ts';
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
  both?: boolean;
  conflicts: string;
  every: string;
  json?: boolean;
}

export type FilterFlags = Pick<CopyFlags, 'include' | 'exclude' | 'minSize' | 'maxSize' | 'minAge' | 'maxAge' | 'tag'>;

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
      partBytes: someOf('--part-size', flags.partSize),
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

/** @throws CONFIG_INVALID naming the option that makes no sense where both sides have users */
export function pairRuleOf(flags: CopyFlags, names: { a: string; b: string }): PairRule {
  const refused: [boolean | undefined, string, string][] = [
    [flags.state === undefined, '--both', 'needs --state: what both sides agreed on has to be remembered'],
    [flags.overwrite !== 'ours', '--overwrite', 'is no use with --both: --conflicts says who wins'],
    [flags.compareOnly, '--compare-only', 'is no use with --both: --dry-run says what differs'],
    [flags.versions, '--versions', 'is no use with --both: the histories of two writers cannot be joined'],
    [flags.tag.length > 0, '--tag', 'is no use with --both: a tag taken away would read as a delete'],
  ];
  for (const [isSo, option, why] of refused) if (isSo === true) throw wrong(option, why);
  return {
    pass: { ...ruleOf(flags), deleteShare: share('--delete-guard', flags.deleteGuard) },
    conflicts: oneOf('--conflicts', flags.conflicts, ['keep', 'newer', 'a', 'b'] as const),
    names,
  };
}

export function filterOf(flags: FilterFlags): FilterRule {
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

export function sizeOf(option: string, text: string): number {
  return named(option, () => parseSize(text));
}

function someOf(option: string, text: string): number {
  const bytes = sizeOf(option, text);
  if (bytes <= 0) throw wrong(option, 'must be above 0');
  return bytes;
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

export function share(option: string, text: string): number {
  const percent = Number(text.replace(/%$/, ''));
  if (text === '' || Number.isNaN(percent) || percent < 0 || percent > 100)
    throw wrong(option, `must be a percentage from 0 to 100, not "${text}"`);
  return percent / 100;
}

export function whole(option: string, text: string, least: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (value < least) throw wrong(option, `must be a whole number from ${least}, not "${text}"`);
  return value;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw wrong(option, `must be a number above 0 or off, not "${text}"`);
  return value;
}

export function oneOf<const T extends string>(option: string, text: string, all: readonly T[]): T {
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

export function wrong(option: string, why: string): MusterError {
  return new MusterError('CONFIG_INVALID', `${option}: ${why}`);
}
