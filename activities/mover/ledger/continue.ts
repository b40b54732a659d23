import { type LedgerRow, type ReplicationLedger } from './ledger.ts';

const batchRows = 500;

/** Takes a frozen replication up again in a ledger of its own: the same way, from the same place in the change log. */
export async function continueLedger(frozen: ReplicationLedger, next: ReplicationLedger): Promise<void> {
  let batch: LedgerRow[] = [];
  const flush = async (): Promise<void> => {
    const rows = batch;
    batch = [];
    await next.note(rows.filter(({ state }) => state !== 'verified'));
    await next.settle(rows.map(({ state, ...row }) => ({ ...row, state: state === 'verified' ? state : 'pending' })));
  };
  for await (const row of frozen.rows()) {
    batch.push(row);
    if (batch.length === batchRows) await flush();
  }
  await flush();
  const [position, observed] = [await frozen.getNote('position'), await frozen.observed()];
  if (position === undefined || observed === undefined) return;
  await next.setObserved(observed);
  await next.setNote('position', position);
}
