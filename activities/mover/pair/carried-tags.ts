import { serverCodeOf } from '../copy/delivery.ts';
import { callOf, orNone } from '../copy/landing.ts';
import { fullKey } from '../side.ts';
import { type PairSide } from './judge.ts';
import { type PairSession } from './session.ts';

/** A few hundred bytes each. What is forgotten of more is carried back once, which changes nothing on a pair at rest. */
const mostKeys = 100_000;

/**
 * Tags that a pair itself has put on a side. They come back in that side's change log and are no change of its users:
 * carried back, they would overwrite what users of the other side wrote meanwhile. Kept after they came back, since they
 * may do so more than once: a side that still has what was carried to it has changed nothing, whatever its log tells.
 */
export interface CarriedTags {
  /** Carries a key whose tags a side's log tells of, unless they are what was carried to that side. */
  carryFrom(side: PairSide, key: string, carry: () => Promise<void>): Promise<void>;
  /** The object was written anew there: what was known of its tags is about the one before. */
  forget(side: PairSide, key: string): void;
}

export function createCarriedTags(session: PairSession): CarriedTags {
  const carried = { a: new Map<string, string>(), b: new Map<string, string>() };
  for (const [way, side] of [
    ['aToB', 'b'],
    ['bToA', 'a'],
  ] as const)
    session.runs[way].setup.tagsPut = (key, tags) => remember(carried[side], key, textOf(tags));
  return {
    async carryFrom(side, key, carry) {
      const tags = await tagsAt(session, side, key);
      if (tags !== undefined && carried[side].get(key) === tags) return;
      carried[side].delete(key);
      await carry();
    },
    forget: (side, key) => void carried[side].delete(key),
  };
}

function remember(known: Map<string, string>, key: string, tags: string): void {
  known.delete(key);
  known.set(key, tags);
  if (known.size <= mostKeys) return;
  for (const oldest of known.keys()) return void known.delete(oldest);
}

/** As one text; undefined where there is no object, or the store keeps no tags. */
async function tagsAt({ runs }: PairSession, side: PairSide, key: string): Promise<string | undefined> {
  const { setup } = runs.aToB;
  const place = side === 'a' ? setup.source : setup.target;
  try {
    const tags = await orNone('OBJECT_UNKNOWN', place.client.getTags(fullKey(place, key), {}, callOf(setup)));
    return tags === undefined ? undefined : textOf(tags);
  } catch (err) {
    if (serverCodeOf(err) === 'NotImplemented') return undefined;
    throw err;
  }
}

function textOf(tags: Readonly<Record<string, string>>): string {
  return JSON.stringify(
    Object.keys(tags)
      .toSorted()
      .map((name) => [name, tags[name]]),
  );
}
