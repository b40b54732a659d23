import { type Ballot, maxBallot } from '../consensus/ballot.ts';
import { type DriveCore } from './drive-core.ts';

/** Ten seconds of ballots: how far ahead the ceiling is kept, and when it is renewed. */
const aheadBallots: Ballot = 10_000 * 8 * 256;
const mostPromises = 60_000;
const keptPromises = 50_000;
const ceilingKey = Buffer.from('ceiling');

/**
 * What a drive has promised: for each key the smallest ballot it still accepts, and for all keys a floor.
 *
 * Promises are in memory. On disk there is only a ceiling above all of them; after a restart the floor is the ceiling, so
 * that whatever was promised is kept without having been written.
 */
export interface Promises {
  /** Nothing at or below is accepted for any key. */
  floor(): Ballot;
  of(id: string): Ballot;
  /** Keeps the promise for a key. Resolves when a restart would keep it too; undefined: it would already. */
  promise(id: string, ballot: Ballot): Promise<void> | undefined;
  raiseFloor(ballot: Ballot): Promise<Ballot>;
}

export function createPromises(core: DriveCore): Promises {
  const promised = new Map<string, Ballot>();
  const stored = core.index.get('meta', ceilingKey);
  let ceiling: Ballot = stored === undefined ? 0 : stored.readDoubleBE(0);
  let floor = ceiling;
  let renewing: Promise<void> | undefined;

  const renew = (above: Ballot): Promise<void> => {
    renewing ??= store(Math.min(maxBallot, Math.max(above, ceiling) + aheadBallots)).finally(() => {
      renewing = undefined;
    });
    return renewing;
  };
  const store = async (next: Ballot): Promise<void> => {
    const value = Buffer.alloc(8);
    value.writeDoubleBE(next, 0);
    await core.writing(core.index.write([{ table: 'meta', key: ceilingKey, value }]));
    ceiling = next;
  };
  const covered = (ballot: Ballot): Promise<void> | undefined => {
    if (ballot <= ceiling) {
      // Renewed half-way, so that hardly anybody waits for it.
      if (ballot > ceiling - aheadBallots / 2) renew(ballot).catch(() => {});
      return undefined;
    }
    return untilCovered(ballot);
  };
  const untilCovered = async (ballot: Ballot): Promise<void> => {
    while (ballot > ceiling) await renew(ballot);
  };
  /** Many at a time: a map is slow to find its first entry when those before it were taken away. */
  const forgetOldest = (): void => {
    for (const [oldest, was] of promised) {
      if (promised.size <= keptPromises) break;
      promised.delete(oldest);
      floor = Math.max(floor, was);
    }
  };
  return {
    floor: () => floor,
    of: (id) => Math.max(floor, promised.get(id) ?? 0),
    promise(id, ballot) {
      promised.delete(id);
      promised.set(id, ballot);
      if (promised.size > mostPromises) forgetOldest();
      return covered(ballot);
    },
    async raiseFloor(ballot) {
      floor = Math.max(floor, Math.min(ballot, maxBallot));
      await covered(floor);
      return floor;
    },
  };
}
