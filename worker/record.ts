import { MusterError } from '../workflows/engine/errors.ts';
import type { LedgerBatch } from '../workflows/io.ts';
import type { RunRecord } from '../workflows/engine/ports.ts';
import type { Ledger } from './ledger/ledger.ts';
import { recordLosses } from './record-losses.ts';

/** Writes what a run reports to the ledger. Every part may come twice. */
export async function recordBatch(ledger: Ledger, batch: LedgerBatch): Promise<void> {
  const { runId, opened, records, finished } = batch;
  if (opened !== null) {
    const { plan, startedAtMs, labels } = opened;
    await ledger.runOpened({ runId, plan, openedAtMs: startedAtMs, ...labels });
  }
  if (records.length > 0) await ledger.append(runId, records);
  for (const record of records) await remember(ledger, runId, record);
  if (finished === null) return;
  const { plan } = await ledger.getRun(runId);
  const run = { ...finished.run, plan };
  await ledger.finishRun(run, finished.atMs);
  await recordLosses(ledger, run, finished.atMs);
}

/** Records that have a table of their own besides the chain. */
async function remember(ledger: Ledger, runId: string, record: RunRecord): Promise<void> {
  const { what, stepId, data, atMs } = record;
  const text = (key: string): string => (typeof data[key] === 'string' ? data[key] : '');
  if ((what === 'approved' || what === 'declined') && stepId !== null) {
    const answer = what === 'approved' ? 'approve' : 'decline';
    await ledger.addApproval({ runId, stepId, answer, by: text('by'), why: text('why'), atMs });
  }
  if (what === 'finding' || what === 'undo-failed') {
    const { plan } = await ledger.getRun(runId);
    const severity = what === 'finding' ? 'warning' : 'critical';
    const said = what === 'finding' ? text('text') : `${stepId ?? ''} could not be undone: ${text('message')}`;
    await ledger.addFinding({ service: plan.service, runId, stepId, severity, what: said, atMs });
  }
  if (what === 'run-started') await takeEpoch(ledger, runId);
}

/** The granters rule over epochs; the ledger remembers. One that comes late behind a newer epoch is history, not an error. */
async function takeEpoch(ledger: Ledger, runId: string): Promise<void> {
  const { plan } = await ledger.getRun(runId);
  if (plan.kind === 'reprotect' || (plan.kind === 'drill' && !plan.steps.some((step) => step.verb === 'promote')))
    return;
  const { service, epoch, to: holder } = plan;
  await ledger.takeEpoch({ service, epoch, holder, runId }).catch((err: unknown) => {
    if (!(err instanceof MusterError) || err.code !== 'EPOCH_STALE') throw err;
  });
}
