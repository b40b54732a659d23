import { compareKeys } from '../../objects/keys.ts';

/** Keys behind `after` up to and including `upTo`; undefined stands for the end of all keys. Relative keys. */
export interface KeyRange {
  after: string;
  upTo?: string;
}

export const wholeRange: KeyRange = { after: '' };

/** The first key behind `after`, or undefined at the end: a listing of one. */
export type NextKey = (after: string) => Promise<string | undefined>;

const last = String.fromCodePoint(0x10ffff);

/** Behind every key that begins with this, as far as keys of sane programs go; a split may be uneven, never wrong. */
function behind(prefix: string): string {
  return prefix + last;
}

export function isInside(range: KeyRange, key: string): boolean {
  return compareKeys(key, range.after) > 0 && (range.upTo === undefined || compareKeys(key, range.upTo) <= 0);
}

/** Cuts a range at keys, given in order; those outside of it are ignored. The pieces tile the range exactly. */
export function cutRange(range: KeyRange, boundaries: readonly string[]): KeyRange[] {
  const pieces: KeyRange[] = [];
  let { after } = range;
  for (const boundary of boundaries) {
    if (!isInside({ ...range, after }, boundary) || boundary === range.upTo) continue;
    pieces.push({ after, upTo: boundary });
    after = boundary;
  }
  pieces.push(range.upTo === undefined ? { after } : { after, upTo: range.upTo });
  return pieces;
}

/**
 * Where a range may be cut, in order: the places where the first code point in which its keys differ changes. Found by
 * listings of one key: about log2 of the key's length, and one for each boundary. Empty when there is nothing to cut.
 */
export async function findBoundaries(range: KeyRange, next: NextKey, most: number): Promise<string[]> {
  const inRange = async (after: string): Promise<string | undefined> => {
    const key = await next(compareKeys(after, range.after) < 0 ? range.after : after);
    return key !== undefined && isInside(range, key) ? key : undefined;
  };
  const fork = await findFork(range, inRange);
  if (fork === undefined) return [];
  const { prefix } = fork;
  const boundaries: string[] = [];
  let child = fork.firstChild;
  while (boundaries.length < most) {
    const boundary = behind(child);
    const key = await inRange(boundary);
    if (key === undefined || !key.startsWith(prefix)) break;
    boundaries.push(boundary);
    const [point] = Array.from(key.slice(prefix.length));
    if (point === undefined || compareKeys(prefix + point, child) <= 0) break;
    child = prefix + point;
  }
  return boundaries;
}

interface Fork {
  /** What all keys behind some first ones begin with. */
  prefix: string;
  /** The prefix and the first code point in which keys differ, as the first of them has it. */
  firstChild: string;
}

async function findFork(range: KeyRange, inRange: NextKey): Promise<Fork | undefined> {
  const othersBehind = async (prefix: string): Promise<boolean> => (await inRange(behind(prefix))) !== undefined;
  let first = await inRange(range.after);
  while (first !== undefined) {
    const points = Array.from(first);
    const begin = (length: number): string => points.slice(0, length).join('');
    if (await othersBehind(first)) {
      let shared = 0;
      let differs = points.length;
      while (differs - shared > 1) {
        const middle = (shared + differs) >> 1;
        if (await othersBehind(begin(middle))) differs = middle;
        else shared = middle;
      }
      return { prefix: begin(shared), firstChild: begin(differs) };
    }
    // All others begin with this whole key and are longer: the next of them says more.
    first = await inRange(first);
  }
  return undefined;
}
