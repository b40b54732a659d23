/**
 * What clients did and saw, as the checkers read it. Times are any numbers that order the events of one run: two events
 * with the same time are taken as happening at once, that is, in either order.
 */

/** How versions of the key's bucket are kept. */
export type Mode = 'off' | 'enabled' | 'suspended';

/** The condition of a write, by the value that the key must (or must not) have now; `*` for any value. */
export type Condition = { ifMatch: string } | { ifNoneMatch: string };

/** What an operation asks. Values are names; each write has one of its own, which its bytes can be made from. */
export type Action =
  | { kind: 'put'; value: string; condition?: Condition }
  | { kind: 'get'; versionId?: string }
  /** Puts a tag on the newest version, or on that one, in the place of the tag it had. */
  | { kind: 'tag'; tag: string; versionId?: string }
  /** Without a version: the object (or a delete marker before it); with one: that version. */
  | { kind: 'delete'; versionId?: string; condition?: Condition };

/** What a reader saw in place of a value. */
export const deleteMarker = 'delete marker';

/**
 * How it ended. `ok` of a read holds what was seen: undefined when the key (or the version) was not there.
 * `refused`: by the condition, so it saw a value that does not meet it; of a tag: there was nothing to put it on. `unknown`: it may have happened, may happen at
 * any later time, or never. An operation that surely did not happen is left out of the history.
 */
export type Outcome =
  | { kind: 'ok'; value?: string | undefined; versionId?: string | undefined; tag?: string | undefined }
  | { kind: 'refused' }
  | { kind: 'unknown' };

/** One operation on one key. */
export interface Operation {
  key: string;
  client: string;
  action: Action;
  outcome: Outcome;
  calledAt: number;
  /** Without meaning when the outcome is `unknown`. */
  returnedAt: number;
}

/** One operation in words, for people who look at a failure. */
export function describeOperation({ client, action, outcome, calledAt, returnedAt }: Operation): string {
  const version = action.kind === 'put' || action.versionId === undefined ? '' : ` version ${action.versionId}`;
  const value = action.kind === 'put' ? ` ${action.value}` : action.kind === 'tag' ? ` ${action.tag}` : '';
  const condition =
    action.kind === 'get' || action.kind === 'tag' || action.condition === undefined
      ? ''
      : ` ${JSON.stringify(action.condition)}`;
  const end = outcome.kind === 'unknown' ? '...' : String(returnedAt);
  return `[${calledAt}..${end}] ${client}: ${action.kind}${value}${version}${condition} -> ${describeOutcome(action, outcome)}`;
}

function describeOutcome(action: Action, outcome: Outcome): string {
  if (outcome.kind !== 'ok') return outcome.kind;
  const version = outcome.versionId === undefined ? '' : ` (version ${outcome.versionId})`;
  const tag = outcome.tag === undefined ? '' : ` tagged ${outcome.tag}`;
  return action.kind === 'get' ? `${outcome.value ?? 'nothing'}${tag}${version}` : `ok${version}`;
}

/** Keeps the order within each key. */
export function splitByKey(operations: readonly Operation[]): Map<string, Operation[]> {
  const byKey = new Map<string, Operation[]>();
  for (const operation of operations) {
    const ofKey = byKey.get(operation.key);
    if (ofKey === undefined) byKey.set(operation.key, [operation]);
    else ofKey.push(operation);
  }
  return byKey;
}
