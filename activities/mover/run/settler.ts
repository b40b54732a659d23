import { type NotedWrite, type ReplicationLedger, type SettledWrite } from '../ledger/ledger.ts';

/** Gathers outcomes so that many of them share one commit. */
export interface Settler {
  /** Resolves when it is durable. */
  settle(outcome: SettledWrite & Partial<NotedWrite>): Promise<void>;
}

/** Outcomes wait so long for others, milliseconds. */
const gatherMs = 20;

export function createSettler(ledger: ReplicationLedger | undefined): Settler {
  if (ledger === undefined) return { settle: () => Promise.resolve() };
  let waiting: (SettledWrite & Partial<NotedWrite>)[] = [];
  let flush: Promise<void> | undefined;
  return {
    settle(outcome) {
      waiting.push(outcome);
      flush ??= new Promise<void>((resolve) => setTimeout(resolve, gatherMs)).then(() => {
        const all = waiting;
        waiting = [];
        flush = undefined;
        return ledger.settle(all);
      });
      return flush;
    },
  };
}
