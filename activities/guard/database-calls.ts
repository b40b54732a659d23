import type { GuardedDatabase, HeldLease } from './database.ts';
import type { LeaseAction, LeaseEvent } from './lease-state.ts';

type DatabaseAction = Exclude<LeaseAction, { kind: 'ask' | 'save' }>;

export interface DatabaseCalls {
  /** Carries one action out and tells how it went; returns at once, however long the database takes. */
  start(action: DatabaseAction, decidedAtUnixMs: number): void;
  /** From the last close that was read back; null once it was opened again. */
  finalLsn(): string | null;
}

/**
 * Every call to the database has a limit, after which the guard goes on without its answer; when a call that ran out of
 * time ends at last, that is told too, because it may have happened late.
 */
export function databaseCalls(database: GuardedDatabase, tell: (event: LeaseEvent) => void): DatabaseCalls {
  let lastFinalLsn: string | null = null;
  const carryOut = async (action: DatabaseAction, atUnixMs: number): Promise<LeaseEvent> => {
    const { callId } = action;
    switch (action.kind) {
      case 'role':
        return { kind: 'role', callId, role: await database.role() };
      case 'close':
        lastFinalLsn = (await database.close()).finalLsn;
        break;
      case 'stop':
        await database.stop(action.cleanMs);
        break;
      case 'start':
        await database.start();
        break;
      default:
        lastFinalLsn = null;
        await database[action.kind](heldLease(action, atUnixMs));
    }
    return { kind: 'call-done', callId };
  };
  return {
    finalLsn: () => lastFinalLsn,
    start(action, decidedAtUnixMs) {
      const { callId } = action;
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        tell({ kind: 'call-failed', callId, settled: false, why: `no answer in ${Math.round(action.limitMs)} ms` });
      }, action.limitMs);
      carryOut(action, decidedAtUnixMs).then(
        (event) => {
          clearTimeout(timer);
          tell(late ? { kind: 'call-settled', callId } : event);
        },
        (err: unknown) => {
          clearTimeout(timer);
          const why = err instanceof Error ? err.message : String(err);
          tell(late ? { kind: 'call-settled', callId } : { kind: 'call-failed', callId, settled: true, why });
        },
      );
    },
  };
}

function heldLease({ epoch, remainingMs }: { epoch: number; remainingMs: number }, atUnixMs: number): HeldLease {
  return { epoch, remainingMs, endsAtUnixMs: atUnixMs + remainingMs };
}
