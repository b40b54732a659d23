import { type NotedWrite, type ReplicationLedger, type SettledWrite } from '../ledger/ledger.ts';

/** Gathers outcomes so that many of them share one commit. */
export interface Settler {
  /** Resolves when it is durable. */
  settle(outcome: SettledWrite & Partial<NotedWrite>): Promise<void>;
  /** So much waits that nobody should go on before its own outcome is durable. */
  readonly crowded: boolean;
}

/** Outcomes wait so long for others, milliseconds. */
const gatherMs = 20;
/** Outcomes that may wait, whether for others or for the disk. */
const mostWaiting = 2_000;

export function createSettler(ledger: ReplicationLedger | undefined): Settler {
  if (ledger === undefined) return { settle: () => Promise.resolve(), crowded: false };
  let waiting: (SettledWrite & Partial<NotedWrite>)[] = [];
  let flush: Promise<void> | undefined;
  let open = 0;
  const write = async (outcomes: (SettledWrite & Partial<NotedWrite>)[]): Promise<void> => {
    try {
      await ledger.settle(outcomes);
    } finally {
      open -= outcomes.length;
    }
  };
  return {
    settle(outcome) {
      waiting.push(outcome);
      open += 1;
      flush ??= new Promise<void>((resolve) => setTimeout(resolve, gatherMs)).then(() => {
        const all = waiting;
        waiting = [];
        flush = undefined;
        return write(all);
      });
      return flush;
    },
    get crowded() {
      return open >= mostWaiting;
    },
  };
}
