import { type Action, type Condition, deleteMarker, type Mode, type Operation } from './history.ts';
import { type Model } from './search.ts';

/** One version of a key, newest first in a state. The id of one nobody saw begins with `?`. */
interface Entry {
  versionId: string;
  value: string;
  tag?: string;
}
export type KeyState = readonly Entry[];

/** A key of a bucket as it ought to be: S3's rules in their shortest form. */
export function versionedKey(mode: Mode, operations: readonly Operation[]): Model<KeyState, Operation> {
  const shown = { ids: idsOfValues(operations), markers: idsOfMarkers(operations) };
  return {
    initial: [],
    step: (state, operation) => step(state, { operation, mode, shown }),
    fingerprint: (state) => state.map(({ versionId, value, tag = '' }) => `${versionId}=${value} ${tag}`).join('\n'),
  };
}

interface Step {
  operation: Operation;
  mode: Mode;
  shown: Shown;
}

/** What readers told: the ids of values, and ids that are those of delete markers. */
interface Shown {
  ids: ReadonlyMap<string, string>;
  markers: ReadonlySet<string>;
}

/** A write whose end nobody heard has a version id that only later readers tell. */
function idsOfValues(operations: readonly Operation[]): Map<string, string> {
  const ids = new Map<string, string>();
  for (const { action, outcome } of operations) {
    if (outcome.kind !== 'ok' || action.kind === 'delete') continue;
    const value = action.kind === 'put' ? action.value : outcome.value;
    const versionId = outcome.versionId ?? (action.kind === 'get' ? action.versionId : undefined);
    if (value !== undefined && value !== deleteMarker && versionId !== undefined) ids.set(value, versionId);
  }
  return ids;
}

/** Likewise delete markers. Which of several such deletes made one that was shown is not known. */
function idsOfMarkers(operations: readonly Operation[]): Set<string> {
  const ids = new Set<string>();
  for (const { action, outcome } of operations) {
    if (action.kind !== 'get' || action.versionId === undefined || outcome.kind !== 'ok') continue;
    if (outcome.value === deleteMarker) ids.add(action.versionId);
  }
  return ids;
}

function step(state: KeyState, { operation, mode, shown }: Step): KeyState | undefined {
  const { action, outcome } = operation;
  if (action.kind === 'get') return answers(state, operation) ? state : undefined;
  if (action.kind === 'tag') return tagged(state, action, outcome);
  const met = action.condition === undefined || meets(currentValue(state), action.condition);
  if (outcome.kind === 'refused') return met ? undefined : state;
  if (!met) return undefined;
  const ownId = outcome.kind === 'ok' ? outcome.versionId : undefined;
  if (action.kind === 'put') {
    const versionId = mode === 'enabled' ? (ownId ?? shown.ids.get(action.value) ?? `?${action.value}`) : 'null';
    return [{ versionId, value: action.value }, ...without(state, versionId)];
  }
  if (action.versionId !== undefined) return without(state, action.versionId, shown.markers);
  if (mode === 'off') return without(state, 'null');
  const versionId = mode === 'enabled' ? (ownId ?? `?${operation.client}${operation.calledAt}`) : 'null';
  return [{ versionId, value: deleteMarker }, ...without(state, versionId)];
}

function tagged(
  state: KeyState,
  { tag, versionId }: Extract<Action, { kind: 'tag' }>,
  outcome: Operation['outcome'],
): KeyState | undefined {
  const at = versionId === undefined ? 0 : state.findIndex((entry) => entry.versionId === versionId);
  const entry = state[at];
  const isThere = entry !== undefined && entry.value !== deleteMarker;
  if (outcome.kind === 'refused') return isThere ? undefined : state;
  return isThere ? state.with(at, { ...entry, tag }) : undefined;
}

/** The value a reader of the key gets. */
function currentValue(state: KeyState): string | undefined {
  const value = state[0]?.value;
  return value === deleteMarker ? undefined : value;
}

function meets(current: string | undefined, condition: Condition): boolean {
  if ('ifMatch' in condition) {
    return current !== undefined && (condition.ifMatch === '*' || condition.ifMatch === current);
  }
  return current === undefined || (condition.ifNoneMatch !== '*' && condition.ifNoneMatch !== current);
}

/** Removes one version. A delete marker whose maker heard no answer has no name in the state: the newest such goes. */
function without(state: KeyState, versionId: string, markers?: ReadonlySet<string>): KeyState {
  const at = state.findIndex((entry) => entry.versionId === versionId);
  const found = at < 0 && markers?.has(versionId) === true ? state.findIndex(isUnnamedMarker) : at;
  return found < 0 ? state : [...state.slice(0, found), ...state.slice(found + 1)];
}

function isUnnamedMarker({ versionId, value }: Entry): boolean {
  return value === deleteMarker && versionId.startsWith('?');
}

function answers(state: KeyState, { action, outcome }: Operation & { action: Action }): boolean {
  if (outcome.kind !== 'ok' || action.kind !== 'get') return true;
  if (action.versionId !== undefined) {
    const entry = state.find(({ versionId }) => versionId === action.versionId);
    if (entry === undefined && outcome.value === deleteMarker) return state.some(isUnnamedMarker);
    return entry?.value === outcome.value && entry?.tag === outcome.tag;
  }
  if (currentValue(state) !== outcome.value) return false;
  const { versionId } = outcome;
  if (outcome.value !== undefined && state[0]!.tag !== outcome.tag) return false;
  return outcome.value === undefined || versionId === undefined || state[0]!.versionId === versionId;
}
