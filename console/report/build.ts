import { clocksOf } from './clocks.ts';
import { clientsOf } from './clients.ts';
import { factsOf, textOf, type Facts } from './facts.ts';
import { objectivesOf, otherFigures, rpoOf, rtoOf } from './figures.ts';
import type { ReportInput, ReportRunInput, WriteGap } from './input.ts';
import { levelOf } from './level.ts';
import { lossOf } from './losses.ts';
import type { ChainReport, FindingReport, Report, RunReport } from './model.ts';
import { ordersOf, stepsOf } from './steps.ts';
import { truthOf } from './truth.ts';
import { headlineOf, protectionOf, verdictOf } from './verdict.ts';

/** Makes the report of a run, or of the runs of a game day. Pure: the same rows give the same report. */
export function buildReport(input: ReportInput): Report {
  const runs = input.runs.map((run) => runReport(factsOf(run), input.generatedAtMs));
  const objectives = runs.flatMap(objectivesOf);
  const loss = lossOf(input.runs);
  const truth = truthOf(runs, input.runs, loss);
  const verdict = verdictOf({ runs, objectives, truth });
  const first = input.runs[0]?.run;
  const service = first?.service ?? '';
  const { from = '', to = '' } = first?.plan ?? {};
  return {
    schemaVersion: '1.0',
    generatedAtMs: input.generatedAtMs,
    software: input.software,
    verdict,
    headline: headlineOf({ runs, objectives, service, verdict, loss }),
    service,
    from,
    to,
    scenario: input.runs.find((run) => run.run.scenario !== null)?.run.scenario ?? null,
    kind: runs.length > 1 ? 'game-day' : (runs[0]?.kind ?? 'drill'),
    ...spanOf(runs, input.generatedAtMs),
    protection: protectionOf(runs),
    objectives,
    truth,
    runs,
    loss,
    clients: clientsOf(input.clients),
    epochs: input.epochs.map(({ epoch, holder, runId, takenAtMs }) => ({ epoch, holder, runId, takenAtMs })),
    level: levelOf(first?.plan.level ?? null, runs),
  };
}

/** From the first fault to the last end; open while a run is. */
function spanOf(runs: readonly RunReport[], nowMs: number): Pick<Report, 'startedAtMs' | 'endedAtMs'> {
  const starts = runs.flatMap((run) => [run.startedAtMs, ...run.clocks.flatMap((clock) => clock.atMs ?? [])]);
  const ends = runs.map((run) => run.endedAtMs);
  const open = ends.some((end) => end === null);
  return {
    startedAtMs: starts.length === 0 ? nowMs : Math.min(...starts),
    endedAtMs: open || ends.length === 0 ? null : Math.max(...ends.flatMap((end) => end ?? [])),
  };
}

function runReport(facts: Facts, nowMs: number): RunReport {
  const { plan, state, input } = facts;
  const { run } = input;
  return {
    runId: run.runId,
    kind: plan.kind,
    drill: plan.drill,
    from: plan.from,
    to: plan.to,
    plannedMode: plan.mode,
    mode: state.mode,
    epoch: plan.epoch,
    outcome: state.outcome,
    reason: state.reason,
    startedAtMs: state.clocks.started ?? run.openedAtMs,
    endedAtMs: state.outcome === null ? null : endOf(facts),
    planHash: plan.hash,
    estateHash: run.estateHash,
    software: run.software,
    clocks: clocksOf(state.clocks),
    rto: rtoOf(facts),
    rpo: rpoOf(facts),
    writeGap: writeGapOf(input.writeGap),
    figures: otherFigures(facts),
    steps: stepsOf(facts, nowMs),
    orders: ordersOf(facts),
    findings: findingsOf(facts),
    chain: chainOf(input),
  };
}

function endOf({ input }: Facts): number | null {
  return input.events.findLast((event) => event.what === 'finished')?.atMs ?? input.run.finishedAtMs;
}

function writeGapOf(gap: WriteGap | null): RunReport['writeGap'] {
  if (gap === null) return null;
  const { lastAckBeforeMs, firstAckAfterMs } = gap;
  return { ...gap, seconds: firstAckAfterMs === null ? null : Math.max(0, firstAckAfterMs - lastAckBeforeMs) / 1000 };
}

/** The engine's own findings lie in the events, those of others in their table. */
function findingsOf({ input }: Facts): FindingReport[] {
  const fromEvents = input.events
    .filter((event) => event.what === 'finding')
    .map(({ atMs, stepId, data }) => ({
      severity: 'warning' as const,
      what: textOf(data, 'text') ?? '',
      stepId,
      atMs,
    }));
  const others = input.findings
    .filter((row) => !fromEvents.some((known) => known.what === row.what))
    .map(({ severity, what, stepId, atMs }) => ({ severity, what, stepId, atMs }));
  return [...fromEvents, ...others].sort((a, b) => a.atMs - b.atMs);
}

function chainOf({ chain, events }: ReportRunInput): ChainReport {
  if (chain.ok)
    return { ok: true, sealed: chain.sealed, events: chain.events, head: chain.head, firstBadSeq: null, why: null };
  return { ok: false, sealed: false, events: events.length, head: null, firstBadSeq: chain.seq, why: chain.why };
}
