import { MusterError } from '../../../workflows/engine/errors.ts';
import type { PackContents } from './index-contents.ts';

/**
 * Which packs a check reads: all, the n-th of t shares (by the first byte of the name, as restic does it), those that
 * were not verified for so long, the share of all bytes whose verification is oldest, or the turn of a rotation that
 * reads every pack within `periodMs` when there is a turn each `everyMs`.
 */
export type ReadChoice =
  | { kind: 'none' }
  | { kind: 'all' }
  | { kind: 'share'; n: number; of: number }
  | { kind: 'older'; thanMs: number }
  | { kind: 'oldest'; percent: number }
  | { kind: 'turn'; periodMs: number; everyMs: number };

/** `all`, `n/t`, `10%` or `30d`. @throws MusterError CONFIG_INVALID */
export function parseReadChoice(text: string): ReadChoice {
  if (text === 'all') return { kind: 'all' };
  const share = /^(\d+)\/(\d+)$/.exec(text);
  if (share !== null) {
    const [n, of] = [Number(share[1]), Number(share[2])];
    if (n >= 1 && n <= of && of <= 256) return { kind: 'share', n, of };
  }
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text);
  if (percent !== null && Number(percent[1]) > 0 && Number(percent[1]) <= 100) {
    return { kind: 'oldest', percent: Number(percent[1]) };
  }
  const age = /^(\d+)([hdw])$/.exec(text);
  if (age !== null)
    return { kind: 'older', thanMs: Number(age[1]) * { h: 3_600_000, d: 86_400_000, w: 604_800_000 }[age[2] as 'h'] };
  throw new MusterError('CONFIG_INVALID', `"${text}" says not what to read: use all, 3/10, 10% or 30d`);
}

interface Known {
  /** When a pack was last found right, Unix milliseconds. */
  verified: ReadonlyMap<string, number>;
  /** When a pack was written: the age of one that was never verified. */
  written?: ReadonlyMap<string, number>;
  nowMs: number;
}

export function choosePacks<Pack extends PackContents>(
  choice: ReadChoice,
  packs: readonly Pack[],
  known: Known,
): Pack[] {
  const { verified, nowMs } = known;
  const lastMs = ({ name }: Pack): number => verified.get(name) ?? Number.NEGATIVE_INFINITY;
  switch (choice.kind) {
    case 'none':
      return [];
    case 'all':
      return [...packs];
    case 'share':
      return packs.filter(({ name }) => Number.parseInt(name.slice(0, 2), 16) % choice.of === choice.n - 1);
    case 'older':
      return packs.filter((pack) => !(lastMs(pack) >= nowMs - choice.thanMs && lastMs(pack) <= nowMs));
    case 'oldest': {
      const wanted = (packs.reduce((bytes, pack) => bytes + sizeOf(pack), 0) * choice.percent) / 100;
      let bytes = 0;
      // Ties by name, which is random: not always the same packs when none was ever verified.
      const oldest = packs.toSorted((a, b) => compare(lastMs(a), lastMs(b)) || (a.name < b.name ? -1 : 1));
      return oldest.filter((pack) => bytes < wanted && (bytes += sizeOf(pack)) > 0);
    }
    case 'turn':
      return packsOfTurn(packs, choice, known);
  }
}

/**
 * The packs that were seen right longest ago: an even share of all bytes, and whatever would get older than the period
 * before the next turn. So no pack does as long as the turns are kept.
 */
function packsOfTurn<Pack extends PackContents>(
  packs: readonly Pack[],
  { periodMs, everyMs }: { periodMs: number; everyMs: number },
  { verified, written, nowMs }: Known,
): Pack[] {
  const seenMs = ({ name }: Pack): number => {
    const last = verified.get(name) ?? written?.get(name) ?? Number.NEGATIVE_INFINITY;
    // A clock was wrong, then or now: what lies in the future says nothing.
    return last > nowMs ? Number.NEGATIVE_INFINITY : last;
  };
  const share = Math.min(1, everyMs / periodMs);
  const wanted = packs.reduce((bytes, pack) => bytes + sizeOf(pack), 0) * share;
  const oldest = packs.toSorted((a, b) => compare(seenMs(a), seenMs(b)) || (a.name < b.name ? -1 : 1));
  let bytes = 0;
  return oldest.filter((pack) => {
    if (bytes >= wanted && seenMs(pack) > nowMs - periodMs + everyMs) return false;
    bytes += sizeOf(pack);
    return true;
  });
}

const sizeOf = ({ entries }: PackContents): number => entries.reduce((bytes, { length }) => bytes + length, 0);
/** Not by difference: two that were never verified would differ by NaN. */
const compare = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);
