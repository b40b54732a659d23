import { condition, ParentClosePolicy, proxyActivities, startChild } from '@temporalio/workflow';
import type { RunRecord } from './engine/ports.ts';
import type { Run } from './engine/run.ts';
import type { LedgerBatch } from './io.ts';

/** How long a run that has ended waits for the ledger before it leaves the rest to a workflow of its own. */
const patienceMs = 10_000;
const batchRecords = 200;
/** Records are gathered this long before they are written, so that a fast run is not slowed by its own bookkeeping. */
const gatherMs = 250;

type LedgerActivities = Record<'record ledger', (batch: LedgerBatch) => Promise<void>>;

/** Writes a run's records to the ledger behind it: recovery never waits for the ledger, and nothing is lost when it is down. */
export interface Recorder {
  add(record: RunRecord): void;
  pending(): number;
  /** What the ledger has not answered for: it may have some of it. */
  left(): Pick<LedgerBatch, 'opened' | 'records'>;
  finish(run: Run): Promise<void>;
}

export function startRecorder(runId: string, opened: NonNullable<LedgerBatch['opened']>): Recorder {
  const records: RunRecord[] = [];
  let first: LedgerBatch['opened'] = opened;
  let handedOver = false;
  let flushed = false;
  let last: LedgerBatch['finished'] = null;

  const flush = async (): Promise<void> => {
    while (!handedOver) {
      await condition(() => records.length > 0 || last !== null || handedOver);
      if (last === null) await condition(() => last !== null || handedOver, gatherMs, { summary: 'gathers records' });
      if (handedOver) return;
      const batch = records.slice(0, batchRecords);
      const finished = records.length <= batchRecords ? last : null;
      await writeBatch({ runId, opened: first, records: batch, finished });
      first = null;
      records.splice(0, batch.length);
      if (finished !== null) {
        flushed = true;
        return;
      }
    }
  };
  void flush();

  return {
    add: (record) => void records.push(record),
    pending: () => records.length,
    left: () => ({ opened: first, records: [...records] }),
    finish: async ({ plan: _plan, ...run }) => {
      last = { run, atMs: Date.now() };
      if (await condition(() => flushed, patienceMs, { summary: 'waits for the ledger' })) return;
      handedOver = true;
      await startChild('recordLater', {
        args: [{ runId, opened: first, records, finished: last } satisfies LedgerBatch],
        workflowId: `record/${runId}`,
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `writes what ${runId} left to the ledger`,
      });
    },
  };
}

async function writeBatch(batch: LedgerBatch): Promise<void> {
  const ledger = proxyActivities<LedgerActivities>({
    startToCloseTimeout: 10_000,
    retry: { initialInterval: 500, backoffCoefficient: 2, maximumInterval: 10_000 },
    summary: `${batch.records.length} records`,
  });
  await ledger['record ledger'](batch);
}

/** Writes records for as long as it takes: the ledger may be away for days. */
export async function recordLater(batch: LedgerBatch): Promise<void> {
  await writeBatch(batch);
}
