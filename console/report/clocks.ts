import { clockNames, type ClockName } from '../../workflows/engine/plan.ts';
import type { FinalState } from '../../worker/ledger/types.ts';
import type { ClockReport } from './model.ts';

/** What each moment means, for readers. */
export const clockMeanings: Record<ClockName, string> = {
  fault: 'first failed probe, or the injected fault',
  detected: 'two vantage points saw it',
  declared: 'declared a disaster',
  started: 'the run started',
  fenced: 'old writer fenced, loss frozen',
  promoted: 'the new writer is promoted',
  routed: 'clients are sent to it',
  verified: 'real clients were served',
  committed: 'committed',
  protected: 'replication runs again, its lag is low',
  'failed-back': 'home again',
};

/** `t0` to `t10`, by the order of the engine's list. */
export function clockId(name: ClockName): string {
  return `t${clockNames.indexOf(name)}`;
}

/** All clocks by number; those that were not stamped have no time. A failback is committed before it is protected. */
export function clocksOf(stamped: FinalState['clocks']): ClockReport[] {
  const moments = Object.values(stamped).toSorted((a, b) => a - b);
  const firstMs = moments[0] ?? 0;
  return clockNames.map((name) => {
    const atMs = stamped[name] ?? null;
    if (atMs === null) return { id: clockId(name), name, atMs, sinceFirstMs: null, sincePreviousMs: null };
    const number = clockNames.indexOf(name);
    const before = clockNames.flatMap((other, at) => {
      const otherMs = stamped[other];
      return otherMs !== undefined && (otherMs < atMs || (otherMs === atMs && at < number)) ? [otherMs] : [];
    });
    const sincePreviousMs = before.length === 0 ? null : atMs - Math.max(...before);
    return { id: clockId(name), name, atMs, sinceFirstMs: atMs - firstMs, sincePreviousMs };
  });
}
