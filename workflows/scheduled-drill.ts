import { ApplicationFailure, defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { ActivityFailure, proxyActivities } from '@temporalio/workflow';
import type { RunInput } from './io.ts';
import { skip, startOnce, type ScheduledEnd } from './scheduled.ts';

/** A drill as a schedule asks for it. */
export interface ScheduledDrillInput {
  scheduleId: string;
  service: string;
  kind: 'isolated' | 'live';
}

/** The plan of a drill against the present, or why none should be held now. */
export type PlannedDrill =
  { kind: 'planned'; input: RunInput; summary: string; details: string } | { kind: 'refused'; why: string };

type Activities = Record<'plan drill', (drill: ScheduledDrillInput) => Promise<PlannedDrill>>;

/**
 * Plans a drill when its time has come, and holds it as the run of its service: where a run is under way already, or
 * the sites do not all answer, it is left out, and says so.
 */
export async function scheduledDrill(drill: ScheduledDrillInput): Promise<ScheduledEnd> {
  const planned = await plan(drill);
  if (planned.kind === 'refused') return skip(drill, 'no time for a drill', planned.why);
  const { input, summary, details } = planned;
  const [first] = input.plans;
  if (first === undefined) throw ApplicationFailure.nonRetryable('a drill needs a plan', 'RUNBOOK_INVALID');
  const keyword = (name: string, value: string) => ({ key: defineSearchAttributeKey(name, 'KEYWORD'), value });
  return startOnce(drill, {
    type: 'drill',
    workflowId: `service/${drill.service}`,
    args: [input],
    memo: { runId: input.runId, planHash: first.hash, startedBy: input.startedBy },
    typedSearchAttributes: new TypedSearchAttributes([
      keyword('DrService', drill.service),
      keyword('DrKind', 'drill'),
      keyword('DrPhase', 'starting'),
      keyword('DrFrom', first.from),
      keyword('DrTo', first.to),
      { key: defineSearchAttributeKey('DrDrill', 'BOOL'), value: first.drill },
    ]),
    staticSummary: summary,
    staticDetails: details,
  });
}

async function plan(drill: ScheduledDrillInput): Promise<PlannedDrill> {
  const { 'plan drill': planDrill } = proxyActivities<Activities>({
    startToCloseTimeout: 30_000,
    retry: { maximumAttempts: 3 },
    summary: `${drill.kind} drill of ${drill.service}`,
  });
  try {
    return await planDrill(drill);
  } catch (err) {
    const cause = err instanceof ActivityFailure ? err.cause : err;
    throw cause instanceof ApplicationFailure ? cause : err;
  }
}
