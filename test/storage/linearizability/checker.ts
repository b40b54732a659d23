import { describeOperation, type Mode, type Operation, splitByKey } from './history.ts';
import { findLinearization } from './search.ts';
import { versionedKey } from './versioned-key.ts';

export interface CheckOptions {
  /** How versions are kept, by key. */
  modeOf?: (key: string) => Mode;
  /** Steps of the search for each key; past them the verdict is `undecided`. */
  budget?: number;
}

/** `text` is for people: the history of the key, and how far it could be explained. */
export type Report =
  | { kind: 'linearizable' }
  | { kind: 'violation'; key: string; text: string }
  | { kind: 'undecided'; key: string; text: string };

const defaultBudget = 2_000_000;

/**
 * Checks that every key behaved like one object that does one thing at a time. Keys do not touch one another, and a
 * history is linearizable when that of each key is (Herlihy and Wing 1990, locality), so each is searched on its own.
 */
export function checkHistory(operations: readonly Operation[], options: CheckOptions = {}): Report {
  const undecided: Report[] = [];
  for (const [key, ofKey] of splitByKey(operations)) {
    const report = checkKey(key, ofKey, options);
    if (report.kind === 'violation') return report;
    if (report.kind === 'undecided') undecided.push(report);
  }
  return undecided[0] ?? { kind: 'linearizable' };
}

function checkKey(key: string, operations: readonly Operation[], options: CheckOptions): Report {
  const model = versionedKey(options.modeOf?.(key) ?? 'off', operations);
  // A read without an answer says nothing.
  const telling = operations.filter(({ action, outcome }) => outcome.kind !== 'unknown' || action.kind !== 'get');
  const kinOf = kinships(operations);
  const spans = telling.map((operation) => ({
    operation,
    calledAt: operation.calledAt,
    returnedAt: operation.returnedAt,
    mustHappen: operation.outcome.kind !== 'unknown',
    kin: kinOf(operation),
  }));
  const verdict = findLinearization(model, spans, options.budget ?? defaultBudget);
  if (verdict.kind === 'linearizable') return verdict;
  if (verdict.kind === 'undecided') {
    return { kind: 'undecided', key, text: `no verdict on ${key} after ${verdict.steps} steps` };
  }
  const explained = verdict.explained.map(describeOperation);
  const stuck = verdict.stuckAt.toSorted((a, b) => a.calledAt - b.calledAt).map(describeOperation);
  const lines = ['not linearizable', key, 'explained, in this order:', ...explained, 'left over:', ...stuck];
  return { kind: 'violation', key, text: lines.join('\n  ') };
}

/** Writes without an answer that nobody can tell apart: deletes, and puts of values that nobody saw or named. */
function kinships(operations: readonly Operation[]): (operation: Operation) => string | undefined {
  const named = new Set<string | undefined>();
  for (const { action, outcome } of operations) {
    if (outcome.kind === 'ok') named.add(outcome.value);
    if (action.kind === 'get' || action.kind === 'tag' || action.condition === undefined) continue;
    named.add('ifMatch' in action.condition ? action.condition.ifMatch : action.condition.ifNoneMatch);
  }
  return ({ action, outcome }) => {
    if (outcome.kind !== 'unknown' || action.kind === 'get' || action.kind === 'tag') return undefined;
    if (action.kind === 'put' && named.has(action.value)) return undefined;
    const versionId = action.kind === 'delete' ? action.versionId : undefined;
    return JSON.stringify([action.kind, versionId, action.condition]);
  };
}
