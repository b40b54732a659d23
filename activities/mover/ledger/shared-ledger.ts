import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { openLmdbLedger } from './lmdb-ledger.ts';
import { type ReplicationLedger } from './ledger.ts';

interface Held {
  ledger: ReplicationLedger;
  users: number;
}

/** Ledgers of this process by directory: a replication and the verbs of a run may use one at the same time. */
const held = new Map<string, Held>();
const closing = new Map<string, Promise<void>>();

export interface SharedLedger extends AsyncDisposable {
  ledger: ReplicationLedger;
}

/** Opens a ledger, or joins who has it open in this process. @throws MusterError LEDGER_CONFLICT: another process has it */
export async function shareLedger(directory: string): Promise<SharedLedger> {
  await closing.get(directory);
  let known = held.get(directory);
  if (known === undefined) {
    known = { ledger: openLmdbLedger(directory), users: 0 };
    held.set(directory, known);
  }
  known.users += 1;
  const mine = known;
  let left = false;
  return {
    ledger: mine.ledger,
    async [Symbol.asyncDispose]() {
      if (left) return;
      left = true;
      mine.users -= 1;
      if (mine.users > 0) return;
      held.delete(directory);
      const closed = Promise.resolve(mine.ledger[Symbol.asyncDispose]()).finally(() => closing.delete(directory));
      closing.set(directory, closed);
      await closed;
    },
  };
}

const againMs = 50;

/** The same, waiting for another process to let it go. @throws MusterError LEDGER_CONFLICT when it does not in time */
export async function shareLedgerWithin(directory: string, limitMs: number): Promise<SharedLedger> {
  const endsAtMs = performance.now() + limitMs;
  for (;;) {
    try {
      return await shareLedger(directory);
    } catch (err) {
      const isHeld = err instanceof MusterError && err.code === 'LEDGER_CONFLICT';
      if (!isHeld || performance.now() + againMs > endsAtMs) throw err;
      await sleep(againMs);
    }
  }
}
