import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { AgentAddress } from '../activities/guard/client.ts';
import { fetchEvidence } from '../worker/evidence.ts';
import type { Ledger } from '../worker/ledger/ledger.ts';
import { software } from '../worker/software.ts';
import { conflictFilesOf, parseConflictSet } from './conflict-sets.ts';
import { buildReport } from './report/build.ts';
import { reportInputFromLedger, type RunExtras } from './report/from-ledger.ts';
import type { ClientSecond, ConflictSet } from './report/input.ts';
import type { Report } from './report/model.ts';
import { renderHtml } from './report/render-html.ts';

export interface ReportWishes {
  runIds: readonly string[];
  clients?: ClientSecond[];
  /** By run id: what only the sandbox knows. */
  extras?: Record<string, RunExtras>;
}

/**
 * Builds the report of some runs from the ledger and the files that their steps left at the sites.
 * @throws MusterError RUN_UNKNOWN, LEDGER_UNREACHABLE, AGENT_UNREACHABLE
 */
export async function makeReport(
  ledger: Ledger,
  agents: readonly AgentAddress[],
  wishes: ReportWishes,
): Promise<Report> {
  const extras: Record<string, RunExtras> = { ...wishes.extras };
  for (const runId of wishes.runIds) {
    const conflictSets = await conflictSetsOf(ledger, agents, runId);
    if (conflictSets.length > 0) extras[runId] = { ...extras[runId], conflictSets };
  }
  const input = await reportInputFromLedger(ledger, {
    runIds: wishes.runIds,
    generatedAtMs: Date.now(),
    software,
    clients: wishes.clients ?? null,
    extras,
  });
  return buildReport(input);
}

async function conflictSetsOf(ledger: Ledger, agents: readonly AgentAddress[], runId: string): Promise<ConflictSet[]> {
  const { plan, final } = await ledger.getRun(runId);
  const steps = plan.steps.map(({ id }) => ({ id, evidence: final?.steps[id]?.evidence ?? null }));
  const sets: ConflictSet[] = [];
  for (const file of conflictFilesOf(steps, plan.to)) {
    const agent = agents.find((a) => a.site === file.site);
    if (agent !== undefined) sets.push(parseConflictSet(file, await fetchEvidence(agent, file.name)));
  }
  return sets;
}

export interface WrittenReport {
  html: string;
  json: string;
}

/** Writes a report as one page and as JSON, `NAME.html` and `NAME.json`. */
export async function writeReport(report: Report, dir: string, name: string): Promise<WrittenReport> {
  await mkdir(dir, { recursive: true });
  const written = { html: path.join(dir, `${name}.html`), json: path.join(dir, `${name}.json`) };
  await writeFile(written.html, renderHtml(report));
  await writeFile(written.json, `${JSON.stringify(report, null, 2)}\n`);
  return written;
}
