import { clockNames, type ClockName } from '../../workflows/engine/plan.ts';
import type { FinalState } from '../../worker/ledger/types.ts';
import type { ClockReport } from './model.ts';

/** What each moment means, for readers. */
export const clockMeanings: Record<ClockName, string> = {
  fault: 'first failed probe, or the injected fault',
  detected: 'two vantage points saw it',
  declared: 'declared a disaster',
  started: 'the run started',
  fenced: 'the old writer is fenced and the loss is frozen',
  promoted: 'the new writer is promoted',
  routed: 'clients are sent to it',
  verified: 'real clients were served',
  committed: 'committed',
  protected: 'replication runs again, lag inside the objective',
  'failed-back': 'home again',
};

/** `t0` to `t10`, by the order of the engine's list. */
export function clockId(name: ClockName): string {
  return `t${clockNames.indexOf(name)}`;
}

/** All clocks in order; those that were not stamped have no time. */
export function clocksOf(stamped: FinalState['clocks']): ClockReport[] {
  let firstMs: number | null = null;
  let previousMs: number | null = null;
  return clockNames.map((name) => {
    const atMs = stamped[name] ?? null;
    firstMs ??= atMs;
    const sinceFirstMs = atMs === null || firstMs === null ? null : atMs - firstMs;
    const sincePreviousMs = atMs === null || previousMs === null ? null : atMs - previousMs;
    previousMs = atMs ?? previousMs;
    return { id: clockId(name), name, atMs, sinceFirstMs, sincePreviousMs };
  });
}
