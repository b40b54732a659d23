import { describeOperation, type Operation, splitByKey } from './history.ts';

/** What one listing said of a stretch of keys. */
export interface Listing {
  client: string;
  keys: readonly string[];
  /** Whether the listing speaks of a key: its prefix, where it began, and how far it got. */
  covers: (key: string) => boolean;
  calledAt: number;
  returnedAt: number;
}

/**
 * Checks listings against what was acknowledged: a key that was surely there from before a listing until after it is
 * in it, and one that surely was not there is not. Keys come in the order of their bytes, each once.
 *
 * @returns what is wrong, in words; empty when nothing is
 */
export function checkListings(operations: readonly Operation[], listings: readonly Listing[]): string[] {
  const byKey = splitByKey(operations);
  return listings.flatMap((listing) => [...wrongOrder(listing), ...wrongKeys(listing, byKey)]);
}

function wrongOrder({ client, keys, calledAt }: Listing): string[] {
  return keys.flatMap((key, i) => {
    const before = keys[i - 1];
    if (before === undefined || Buffer.compare(Buffer.from(before), Buffer.from(key)) < 0) return [];
    return [`the listing of ${client} at ${calledAt} shows ${key} after ${before}`];
  });
}

function wrongKeys(listing: Listing, byKey: ReadonlyMap<string, readonly Operation[]>): string[] {
  const listed = new Set(listing.keys);
  const wrong: string[] = [];
  for (const key of listing.keys) {
    if (!listing.covers(key)) wrong.push(`${describeListing(listing)} shows ${key}, which it was not asked for`);
    if (!byKey.has(key)) wrong.push(`${describeListing(listing)} shows ${key}, which nobody ever wrote`);
  }
  for (const [key, operations] of byKey) {
    if (!listing.covers(key)) continue;
    const proof = listed.has(key) ? surelyAbsent(operations, listing) : surelyPresent(operations, listing);
    if (proof === undefined) continue;
    const fault = listed.has(key) ? 'shows' : 'misses';
    wrong.push(`${describeListing(listing)} ${fault} ${key}:\n  ${proof.map(describeOperation).join('\n  ')}`);
  }
  return wrong;
}

function describeListing({ client, calledAt, returnedAt }: Listing): string {
  return `[${calledAt}..${returnedAt}] the listing of ${client}`;
}

const isPut = ({ action, outcome }: Operation): boolean => action.kind === 'put' && outcome.kind !== 'refused';
const isDelete = ({ action, outcome }: Operation): boolean => action.kind === 'delete' && outcome.kind !== 'refused';
/** Removing a version, or a delete marker, may also bring an older version to light. */
const mayAdd = (one: Operation): boolean =>
  isPut(one) || (isDelete(one) && one.action.kind === 'delete' && one.action.versionId !== undefined);
const acknowledged = ({ outcome }: Operation): boolean => outcome.kind === 'ok';
const endOf = ({ outcome, returnedAt }: Operation): number =>
  outcome.kind === 'unknown' ? Number.POSITIVE_INFINITY : returnedAt;

/** The operations when a write was acknowledged before the listing, and nothing after it can have removed the key. */
function surelyPresent(operations: readonly Operation[], listing: Listing): readonly Operation[] | undefined {
  const put = operations.find(
    (one) =>
      isPut(one) &&
      acknowledged(one) &&
      one.returnedAt < listing.calledAt &&
      !operations.some(
        (other) => isDelete(other) && endOf(other) >= one.calledAt && other.calledAt <= listing.returnedAt,
      ),
  );
  return put === undefined ? undefined : operations;
}

/** The operations when the key was never written, or a delete was acknowledged and nothing after it can have added it. */
function surelyAbsent(operations: readonly Operation[], listing: Listing): readonly Operation[] | undefined {
  const adders = operations.filter((one) => mayAdd(one) && one.calledAt <= listing.returnedAt);
  if (adders.length === 0) return operations;
  const removal = operations.find(
    (one) =>
      isDelete(one) &&
      one.action.kind === 'delete' &&
      one.action.versionId === undefined &&
      acknowledged(one) &&
      one.returnedAt < listing.calledAt &&
      !adders.some((other) => other !== one && endOf(other) >= one.calledAt),
  );
  return removal === undefined ? undefined : operations;
}
