import { seeded } from '../support/memory-set.ts';
import { type Condition, deleteMarker, type Mode, type Operation } from './history.ts';

/**
 * A history as clients of a truly linearizable object record it: each operation takes effect at one moment between its
 * call and its return. Written apart from the checker's model, on purpose, and by other means.
 */
export function recordedHistory(seed: number, mode: Mode, length = 40): Operation[] {
  const random = seeded(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  const planned = Array.from({ length }, (_, i) => {
    const calledAt = random() * length;
    const actsAt = calledAt + random() * 3;
    return { i, calledAt, actsAt, returnedAt: actsAt + random() * 3 };
  });
  const versions: { id: string; value: string }[] = [];
  // A client can name only a version that somebody heard of.
  const heardOf = new Set<string>();
  const someVersion = (): string | undefined => {
    const known = versions.filter(({ id }) => heardOf.has(id));
    return known[pick(known.length)]?.id;
  };
  const put = (id: string, value: string): void => {
    remove(id);
    versions.unshift({ id, value });
  };
  const remove = (id: string): void => {
    const at = versions.findIndex((version) => version.id === id);
    if (at >= 0) versions.splice(at, 1);
  };
  const newest = (): string | undefined => (versions[0]?.value === deleteMarker ? undefined : versions[0]?.value);
  const condition = (): Condition => {
    const value = random() < 0.5 ? '*' : (newest() ?? 'x');
    return random() < 0.5 ? { ifMatch: value } : { ifNoneMatch: value };
  };
  const holds = (wanted: Condition): boolean => {
    const now = newest();
    if ('ifMatch' in wanted) return now !== undefined && ['*', now].includes(wanted.ifMatch);
    return now === undefined || !['*', now].includes(wanted.ifNoneMatch);
  };
  const act = (i: number): Pick<Operation, 'action' | 'outcome'> => {
    const newId = mode === 'enabled' ? `v${i}` : 'null';
    const wanted = random() < 0.4 ? condition() : undefined;
    const chance = random();
    if (chance < 0.45) {
      const versionId = random() < 0.3 ? someVersion() : undefined;
      if (versionId === undefined) {
        const value = newest();
        const shown = value === undefined ? undefined : versions[0]!.id;
        return { action: { kind: 'get' }, outcome: { kind: 'ok', value, versionId: shown } };
      }
      const value = versions.find(({ id }) => id === versionId)!.value;
      return { action: { kind: 'get', versionId }, outcome: { kind: 'ok', value } };
    }
    const conditional = wanted === undefined ? {} : { condition: wanted };
    if (chance < 0.8) {
      const action = { kind: 'put' as const, value: `x${i}`, ...conditional };
      if (wanted !== undefined && !holds(wanted)) return { action, outcome: { kind: 'refused' } };
      put(newId, action.value);
      return { action, outcome: { kind: 'ok', versionId: newId } };
    }
    const versionId = random() < 0.3 ? someVersion() : undefined;
    if (versionId !== undefined) {
      remove(versionId);
      return { action: { kind: 'delete', versionId }, outcome: { kind: 'ok', versionId } };
    }
    const action = { kind: 'delete' as const, ...conditional };
    if (wanted !== undefined && !holds(wanted)) return { action, outcome: { kind: 'refused' } };
    if (mode === 'off') remove('null');
    else put(newId, deleteMarker);
    return { action, outcome: { kind: 'ok', versionId: mode === 'off' ? undefined : newId } };
  };
  const history = planned
    .toSorted((a, b) => a.actsAt - b.actsAt)
    .map(({ i, calledAt, returnedAt }): Operation => {
      const { action, outcome } = act(i);
      const lost = random() < 0.1;
      if (!lost && outcome.kind === 'ok' && outcome.versionId !== undefined) heardOf.add(outcome.versionId);
      const heard = lost ? ({ kind: 'unknown' } as const) : outcome;
      return { key: 'k', client: `c${i}`, calledAt, returnedAt, action, outcome: heard };
    });
  // Some requests are lost, too: those never happened, and their clients do not know it.
  const lost = Array.from({ length: pick(4) }, (_, i): Operation => {
    const action = { kind: 'put' as const, value: `lost${i}` };
    const outcome = { kind: 'unknown' as const };
    return { key: 'k', client: `l${i}`, action, outcome, calledAt: random() * length, returnedAt: 0 };
  });
  return [...history, ...lost];
}
