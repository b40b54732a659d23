import type { Ledger } from '../../worker/ledger/ledger.ts';
import type { EpochRow, RunRow } from '../../worker/ledger/types.ts';
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

const mostKeys = 1_000;

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
  const lostKeys = await lostKeysOf(ledger, run);
  return { run, events, chain, measurements, approvals, findings, lostKeys, conflictSets, writeGap, truth };
}

/** The run itself carries the first hundred. */
async function lostKeysOf(ledger: Ledger, { runId, plan }: RunRow): Promise<Record<string, string[]>> {
  const lost: Record<string, string[]> = {};
  for (const { name, driver } of plan.resources) {
    if (driver !== 'bucket') continue;
    const found = await ledger.lostObjectsOf(runId, name, mostKeys);
    if (found.length > 0) lost[name] = found.map(({ key }) => key);
  }
  return lost;
}
