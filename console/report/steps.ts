import type { EventRow } from '../../worker/ledger/chain.ts';
import type { Json, JsonObject, PlanStep } from '../../workflows/engine/plan.ts';
import { textOf, type Facts } from './facts.ts';
import type { Decision, StepReport } from './model.ts';

const evidenceFields = 8;
const evidenceLength = 120;

/** The steps of a run in the order in which they started; those that never did come last. */
export function stepsOf(facts: Facts, nowMs: number): StepReport[] {
  const { events } = facts.input;
  const steps = facts.plan.steps.map((step) => {
    const own = events.filter((event) => event.stepId === step.id);
    return stepOf(facts, step, own, nowMs);
  });
  return steps.sort((a, b) => (a.startedAtMs ?? Infinity) - (b.startedAtMs ?? Infinity) || 0);
}

function stepOf(facts: Facts, step: PlanStep, events: readonly EventRow[], nowMs: number): StepReport {
  const { id, verb, resource, site, effect, clock } = step;
  const state = facts.state.steps[id];
  const failure = state?.failure ?? null;
  const firstMs = events.find((e) => e.what === 'step-started' || e.what === 'asked')?.atMs;
  const startedAtMs = firstMs ?? state?.startedAtMs ?? null;
  const endedAtMs = startedAtMs === null ? null : (state?.endedAtMs ?? null);
  return {
    id,
    verb,
    resource,
    site,
    effect,
    clock,
    status: state?.status ?? 'pending',
    attempts: Math.max(state?.attempt ?? 0, events.filter((e) => e.what === 'step-started').length),
    startedAtMs,
    endedAtMs,
    durationMs: startedAtMs === null || endedAtMs === null ? null : Math.max(0, endedAtMs - startedAtMs),
    asking: askingOf(events, endedAtMs ?? nowMs),
    evidence: evidenceSummary(state?.evidence ?? {}),
    note: state?.note ?? null,
    failure: failure === null ? null : { code: failure.code, message: failure.message },
    decisions: decisionsOf(facts, id, events),
  };
}

/** When a step waited for a person: from the question to whatever came of it. */
function askingOf(events: readonly EventRow[], endMs: number): StepReport['asking'] {
  return events.flatMap((event, at) => {
    if (event.what !== 'asked') return [];
    const answered = events.slice(at + 1).find((e) => !['asked', 'approved', 'late'].includes(e.what));
    const toMs = answered?.atMs ?? endMs;
    return toMs > event.atMs ? [{ fromMs: event.atMs, toMs }] : [];
  });
}

/** The first fields of the evidence as text; nested fields by their path. */
export function evidenceSummary(evidence: JsonObject): StepReport['evidence'] {
  return leaves(evidence)
    .slice(0, evidenceFields)
    .map(([name, value]) => ({
      name,
      value: value.length > evidenceLength ? `${value.slice(0, evidenceLength - 1)}…` : value,
    }));
}

function leaves(value: JsonObject, path = ''): [string, string][] {
  return Object.entries(value).flatMap(([key, item]): [string, string][] => {
    if (item === null || item === undefined || item === '') return [];
    if (typeof item === 'object' && !Array.isArray(item)) return leaves(item, `${path}${key}.`);
    return [[`${path}${key}`, plainText(item)]];
  });
}

function plainText(value: Json): string {
  if (Array.isArray(value)) return value.map(plainText).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function decisionsOf(facts: Facts, stepId: string, events: readonly EventRow[]): Decision[] {
  const fromEvents = events.flatMap((event) => decisionOf(event) ?? []);
  const more = facts.input.approvals
    .filter((row) => row.stepId === stepId)
    .map((row) => ({
      by: row.by,
      why: row.why,
      atMs: row.atMs,
      what: row.answer === 'approve' ? 'approved' : 'declined',
    }))
    .filter((row) => !fromEvents.some((known) => known.by === row.by && known.what === row.what));
  return [...fromEvents, ...more];
}

function decisionOf({ what, atMs, data }: EventRow): Decision | null {
  const by = textOf(data, 'by') ?? '';
  const why = textOf(data, 'why') ?? '';
  if (what === 'approved' || what === 'declined') return { by, why, atMs, what };
  return what === 'operator' ? { by, why, atMs, what: textOf(data, 'op') ?? 'order' } : null;
}

/** What people ordered for the run as a whole: pause, resume, abort, skip of every failed step, ... */
export function ordersOf(facts: Facts): Decision[] {
  return facts.input.events.filter((event) => event.stepId === null).flatMap((event) => decisionOf(event) ?? []);
}
