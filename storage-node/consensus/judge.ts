import { type LayeredRegister, type Register } from '../store/drive-api.ts';
import { readQuorum, writeQuorum } from '../store/set.ts';
import { type Ballot } from './ballot.ts';

/**
 * What the registers of some drives of a set say about a key, decided without any I/O.
 *
 * `value`: this is the newest value that can have been acknowledged. Ballot 0: the key was never written.
 * `maybe`: this value may or may not have been chosen; drives that have not spoken could tell.
 */
export type Judgement =
  | { kind: 'value'; ballot: Ballot; register: Register | undefined }
  | {
      kind: 'maybe';
      ballot: Ballot;
      register: Register;
      /** Enough drives hold it that its data can surely be put together. */
      complete: boolean;
    };

/**
 * Judges the newest value.
 *
 * A ballot is chosen when N/2+1 drives accepted it. One that fewer than that can have accepted, counting drives that
 * have not spoken, was never acknowledged and is passed over. Everything chosen is on at least one of any N/2 drives,
 * on top or under newer values that may not have been chosen, so with that many registers nothing acknowledged is missed.
 *
 * Drives that promised a ballot say what they had accepted below it, once and for all. Drives that are only looked at do
 * so one after the other: one that was asked late may have had a value that the others show, and have let go of it for
 * newer ones. What lies under the last it shows is not known of it then.
 *
 * @param known registers of different drives of the set, at least N/2 of them
 * @param size N
 * @param promised whether all of them come with a promise of one ballot. Whoever takes no value that lies under a newer
 * one (listings, healing: they ask the register then) need not tell.
 */
export function judge(known: readonly LayeredRegister[], size: number, promised = true): Judgement {
  const quorum = writeQuorum(size);
  const silent = size - known.length;
  let below = Number.POSITIVE_INFINITY;
  for (;;) {
    const top = newestBelow(known, below);
    if (top === undefined || top.ballot === 0) return { kind: 'value', ballot: 0, register: undefined };
    let holders = 0;
    let decided: Register | undefined;
    for (const layers of known) {
      const register = layerAt(layers, top.ballot);
      if (register === undefined) continue;
      holders += 1;
      if (register.decided) decided = register;
    }
    if (decided !== undefined || holders >= quorum) {
      return { kind: 'value', ballot: top.ballot, register: decided ?? top };
    }
    const unknown = promised ? 0 : known.filter((layers) => lowestOf(layers) > top.ballot).length;
    if (holders + silent + unknown >= quorum) {
      const complete = top.tombstone || holders >= readQuorum(size);
      return { kind: 'maybe', ballot: top.ballot, register: top, complete };
    }
    below = top.ballot;
  }
}

function lowestOf({ ballot, older }: LayeredRegister): Ballot {
  return older.at(-1)?.ballot ?? ballot;
}

/** What a drive has of one ballot, on top or under it. */
export function layerAt<Top extends LayeredRegister>(
  layers: Top,
  ballot: Ballot,
): Top | Top['older'][number] | undefined {
  return layers.ballot === ballot ? layers : layers.older.find((older) => older.ballot === ballot);
}

function newestBelow(known: readonly LayeredRegister[], below: Ballot): Register | undefined {
  let newest: Register | undefined;
  const consider = (register: Register): void => {
    if (register.ballot < below && (newest === undefined || register.ballot > newest.ballot)) newest = register;
  };
  for (const layers of known) {
    consider(layers);
    layers.older.forEach(consider);
  }
  return newest;
}
