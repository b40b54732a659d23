import type { Ledger } from '../../worker/ledger/ledger.ts';
import type { EpochRow } from '../../worker/ledger/types.ts';
import type { ClientSecond, ReportInput, ReportRunInput } from './input.ts';

/** What the ledger does not know: rows saved from an old primary, and what clients saw. */
export type RunExtras = Partial<Pick<ReportRunInput, 'conflictSets' | 'writeGap' | 'truth'>>;

export interface ReportRequest {
  /** One run, or those of a game day in their order. */
  runIds: readonly string[];
  generatedAtMs: number;
  software: string;
  clients?: ClientSecond[] | null;
  /** By run id. */
  extras?: Readonly<Record<string, RunExtras>>;
}

/** Gathers the input of a report. @throws MusterError RUN_UNKNOWN, LEDGER_UNREACHABLE */
export async function reportInputFromLedger(ledger: Ledger, request: ReportRequest): Promise<ReportInput> {
  const runs = await Promise.all(request.runIds.map((runId) => runInput(ledger, runId, request.extras?.[runId] ?? {})));
  const service = runs[0]?.run.service;
  const epochs: EpochRow[] = service === undefined ? [] : await ledger.epochsOf(service);
  const { generatedAtMs, software, clients = null } = request;
  return { generatedAtMs, software, runs, epochs, clients };
}

async function runInput(ledger: Ledger, runId: string, extras: RunExtras): Promise<ReportRunInput> {
  const { conflictSets = [], writeGap = null, truth = null } = extras;
  const [run, events, chain, measurements, approvals, findings] = await Promise.all([
    ledger.getRun(runId),
    ledger.events(runId),
    ledger.verifyChain(runId),
    ledger.measurementsOf(runId),
    ledger.approvalsOf(runId),
    ledger.findingsOf(runId),
  ]);
  return { run, events, chain, measurements, approvals, findings, conflictSets, writeGap, truth };
}
