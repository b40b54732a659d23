import { describeOperation, type Operation } from './history.ts';

/** One entry of a bucket's change feed. `value` is what the entry's ETag says was written, where it says something. */
export interface FeedEntry {
  position: number;
  kind: 'put' | 'delete' | 'delete-marker' | 'delete-version' | 'tags' | 'version-tags';
  key: string;
  versionId: string;
  value: string | undefined;
}

/** A version as a listing of versions shows it, newest first. */
export interface ListedVersion {
  key: string;
  versionId: string;
  /** Undefined for a delete marker. */
  value: string | undefined;
}

export interface FeedFacts {
  operations: readonly Operation[];
  /** The whole feed, read when nothing was written any more. */
  feed: readonly FeedEntry[];
  /** What readers were given who followed the feed while it grew. */
  followed: readonly (readonly FeedEntry[])[];
  /** All versions there are at the end. */
  versions: readonly ListedVersion[];
}

/**
 * Checks a change feed: in order, without gaps, nothing in it that did not happen, and whoever applies it gets what the
 * bucket holds. The same change may come twice: a write that was completed by somebody else is told again.
 *
 * @returns what is wrong, in words; empty when nothing is
 */
export function checkFeed(facts: FeedFacts): string[] {
  return [
    ...[facts.feed, ...facts.followed].flatMap(wrongOrder),
    ...facts.followed.flatMap((followed) => gapsOf(facts, followed)),
    ...missing(facts),
    ...phantoms(facts),
    ...wrongSequence(facts),
    ...wrongResult(facts),
  ];
}

const nameOf = ({ kind, key, versionId, value }: FeedEntry): string => `${kind} ${key} ${versionId} ${value ?? ''}`;

function wrongOrder(feed: readonly FeedEntry[]): string[] {
  return feed.flatMap((entry, i) =>
    i > 0 && entry.position <= feed[i - 1]!.position ? [`${nameOf(entry)} comes out of order in the feed`] : [],
  );
}

/** What the whole feed has up to where a follower got, and the follower was never given. */
function gapsOf({ feed }: FeedFacts, followed: readonly FeedEntry[]): string[] {
  const given = new Set(followed.map(nameOf));
  const end = followed.at(-1)?.position ?? 0;
  return feed.flatMap((entry) =>
    entry.position <= end && !given.has(nameOf(entry)) ? [`a follower of the feed missed ${nameOf(entry)}`] : [],
  );
}

/** The entries an operation may have made. */
function entriesOf(feed: readonly FeedEntry[], { key, action, outcome }: Operation): FeedEntry[] {
  const versionId = outcome.kind === 'ok' ? outcome.versionId : undefined;
  return feed.filter((entry) => {
    if (entry.key !== key || action.kind === 'get') return false;
    if (action.kind === 'tag') return entry.kind.endsWith('tags');
    if (action.kind === 'put') return entry.kind === 'put' && entry.value === action.value;
    if (action.versionId !== undefined) return entry.kind === 'delete-version' && entry.versionId === action.versionId;
    return entry.kind === 'delete-marker' && entry.versionId === versionId;
  });
}

function missing({ operations, feed }: FeedFacts): string[] {
  const made = new Set(operations.flatMap(({ outcome }) => (outcome.kind === 'ok' ? [outcome.versionId] : [])));
  return operations.flatMap((operation) => {
    const { action, outcome } = operation;
    if (outcome.kind !== 'ok' || action.kind === 'get') return [];
    // Deleting what is not there is no event.
    const certain =
      action.kind === 'put' || action.kind === 'tag' || (action.versionId ?? outcome.versionId) !== undefined;
    if (!certain || (action.kind === 'delete' && action.versionId !== undefined && !made.has(action.versionId)))
      return [];
    return entriesOf(feed, operation).length > 0 ? [] : [`not in the feed: ${describeOperation(operation)}`];
  });
}

function phantoms({ operations, feed }: FeedFacts): string[] {
  const written = new Set<string>();
  for (const { key, action, outcome } of operations) {
    if (action.kind === 'put' && outcome.kind !== 'refused') written.add(`${key} ${action.value}`);
  }
  return feed.flatMap((entry) =>
    entry.kind === 'put' && !written.has(`${entry.key} ${entry.value}`) ? [`nobody wrote ${nameOf(entry)}`] : [],
  );
}

/** Of two writes of a key of which one ended before the other began, the feed has the first one first. */
function wrongSequence({ operations, feed }: FeedFacts): string[] {
  const wrong: string[] = [];
  const placed = operations
    // Of several tags of a key the feed does not say which is which.
    .filter(({ action, outcome }) => outcome.kind === 'ok' && action.kind !== 'tag')
    .filter((operation) => !isRepeatedDelete(operations, operation))
    .map((operation) => ({ operation, position: entriesOf(feed, operation)[0]?.position }));
  for (const first of placed) {
    for (const second of placed) {
      if (first.position === undefined || second.position === undefined) continue;
      if (first.operation.key !== second.operation.key || first.position === second.position) continue;
      if (first.operation.returnedAt >= second.operation.calledAt || first.position < second.position) continue;
      const [a, b] = [first, second].map(({ operation }) => describeOperation(operation));
      wrong.push(`${second.operation.key}: the feed has\n  ${b}\nbefore\n  ${a}`);
    }
  }
  return wrong;
}

/** Of several deletes of one version only one did it; which, the feed does not say. */
function isRepeatedDelete(operations: readonly Operation[], one: Operation): boolean {
  const versionOf = ({ action }: Operation): string | undefined =>
    action.kind === 'delete' ? action.versionId : undefined;
  return versionOf(one) !== undefined && operations.filter((other) => versionOf(other) === versionOf(one)).length > 1;
}

/** Whoever applies the feed from its beginning has the same versions as the bucket. */
function wrongResult({ feed, versions }: FeedFacts): string[] {
  const replica = new Map<string, ListedVersion[]>();
  for (const { kind, key, versionId, value } of feed) {
    if (kind === 'tags' || kind === 'version-tags') continue;
    const others = (replica.get(key) ?? []).filter((version) => version.versionId !== versionId);
    if (kind === 'delete') replica.set(key, []);
    else if (kind === 'delete-version') replica.set(key, others);
    else replica.set(key, [{ key, versionId, value: kind === 'put' ? value : undefined }, ...others]);
  }
  const show = (list: readonly ListedVersion[]): string =>
    list.map(({ versionId, value }) => `${versionId}=${value ?? 'delete marker'}`).join(', ') || 'nothing';
  const keys = new Set([...replica.keys(), ...versions.map(({ key }) => key)]);
  return [...keys].flatMap((key) => {
    const made = show(replica.get(key) ?? []);
    const real = show(versions.filter((version) => version.key === key));
    return made === real ? [] : [`the feed makes of ${key}: ${made}\nbut there is: ${real}`];
  });
}
