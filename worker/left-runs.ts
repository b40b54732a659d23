import type { Client } from '@temporalio/client';
import { abandon } from '../workflows/engine/abandon.ts';
import type { Command } from '../workflows/engine/run.ts';
import type { LedgerBatch, RunAccount } from '../workflows/io.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { RunSummary } from './ledger/types.ts';
import type { Log } from './log.ts';
import { recordBatch } from './record.ts';
import { workflowIdOf } from './run-start.ts';

export interface LeftRunsDeps {
  client: () => Promise<Client>;
  ledger: Ledger;
  log: Log;
}

interface Ended {
  executionId: string;
  /** As Temporal says it: `TERMINATED`, `FAILED`, ... */
  how: string;
  atMs: number;
}

/**
 * Writes down the end of runs whose workflow was ended from outside (a drill that was abandoned), so that the ledger holds
 * no run for ever open. Their last state is asked of the closed workflow, which a worker plays once more for it.
 * @returns ids of the runs that were sealed
 */
export async function sealLeftRuns({ client, ledger, log }: LeftRunsDeps): Promise<string[]> {
  const open = await ledger.listRuns({ unsealed: true });
  const sealed: string[] = [];
  for (const run of open) {
    try {
      const temporal = await client();
      const ended = await endOf(temporal, run);
      if (ended === null) continue;
      await recordBatch(ledger, await lastBatch(temporal, run, ended));
      sealed.push(run.runId);
      log.warn({ runId: run.runId, how: ended.how }, 'sealed a run that was ended from outside');
    } catch (err) {
      log.warn({ runId: run.runId, err: String(err) }, 'a run that was ended from outside cannot be sealed');
    }
  }
  return sealed;
}

/** Null while it runs, and where it ended by itself: then its own record is under way. */
async function endOf(client: Client, { runId, service }: RunSummary): Promise<Ended | null> {
  const ends = ['Terminated', 'Failed', 'TimedOut', 'Canceled'].map((how) => `'${how}'`).join(', ');
  const query = `WorkflowId = '${workflowIdOf(service)}' AND ExecutionStatus IN (${ends})`;
  for await (const found of client.workflow.list({ query })) {
    const known = found.memo?.['runId'];
    // The second plan of a live drill has the name of the first with a number behind it.
    if (typeof known !== 'string' || (runId !== known && !runId.startsWith(`${known}.`))) continue;
    return { executionId: found.runId, how: found.status.name, atMs: found.closeTime?.getTime() ?? Date.now() };
  }
  return null;
}

async function lastBatch(client: Client, { runId, service }: RunSummary, ended: Ended): Promise<LedgerBatch> {
  const handle = client.workflow.getHandle(workflowIdOf(service), ended.executionId);
  const account = await handle.query<RunAccount>('account');
  if (account.run.id !== runId) throw new Error(`its workflow was at ${account.run.id} when it ended`);
  const why = `abandoned: its workflow was ended from outside (${ended.how.toLowerCase()}), steps stand as they were then`;
  const { run, commands } = abandon(account.run, { atMs: ended.atMs, why });
  const { plan: _plan, ...last } = run;
  const records = [...account.records, ...commands.flatMap(asRecord)];
  return { runId, opened: account.opened, records, finished: { run: last, atMs: ended.atMs } };
}

function asRecord(command: Command): LedgerBatch['records'] {
  if (command.kind !== 'record') return [];
  const { kind: _kind, ...record } = command;
  return [record];
}
