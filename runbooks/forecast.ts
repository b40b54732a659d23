import { judge, type Confidence, type Verdict } from '../workflows/engine/measure.ts';
import type { Plan, PlanStep } from '../workflows/engine/plan.ts';
import { criticalPath, endsRto, expectedMs } from './graph.ts';

/** What is known now: medians of past runs by step id (milliseconds), and the present lag of each stateful resource. */
export interface Present {
  stepMedianMs?: Readonly<Record<string, number>>;
  /** Seconds; null = it was asked for and is not known. */
  lagSeconds?: Readonly<Record<string, number | null>>;
}

export interface Forecast {
  rto: {
    /** Technical RTO: run started to verified by real clients (t7 - t3); waiting for people is not in it. */
    seconds: number;
    confidence: Confidence;
    /** Ids of the steps that make it as long as it is. */
    criticalPath: string[];
    /** Of these, the ones with a median of past runs; the rest are the drivers' estimates. */
    measuredSteps: string[];
    verdict: Verdict;
  };
  rpo: {
    /** Null exactly when confidence is `unknown`. */
    seconds: number | null;
    confidence: Confidence;
    /** The resource that loses most; null when none does or when it is not known. */
    worst: string | null;
    verdict: Verdict;
  };
  /** Gates on the way that a person must open. */
  waitsForPeople: string[];
}

/** What a run of this plan would cost if it were started now. A forecast is never `measured`: at best an estimate. */
export function forecast(plan: Plan, present: Present = {}): Forecast {
  return {
    rto: forecastRto(plan, present),
    rpo: forecastRpo(plan, present),
    waitsForPeople: gatesBeforeVerified(plan),
  };
}

function forecastRto(plan: Plan, { stepMedianMs = {} }: Present): Forecast['rto'] {
  const medianOf = (id: string): number | undefined => (Object.hasOwn(stepMedianMs, id) ? stepMedianMs[id] : undefined);
  const durationMs = (step: PlanStep): number =>
    step.modes.includes(plan.mode) ? (medianOf(step.id) ?? expectedMs(plan, step, plan.mode)) : 0;
  const path = criticalPath(plan.steps, durationMs, endsRto(plan.steps));
  const seconds = path.totalMs / 1000;
  const measuredSteps = path.ids.filter((id) => medianOf(id) !== undefined);
  const verdict = judge(plan.objectives.rtoSeconds, seconds);
  return { seconds, confidence: 'estimated', criticalPath: path.ids, measuredSteps, verdict };
}

/** A graceful run drains what is under way before it promotes; an ungraceful one loses the lag. Neither without knowing it. */
function forecastRpo(plan: Plan, { lagSeconds = {} }: Present): Forecast['rpo'] {
  const resources = [...new Set(plan.steps.filter((step) => step.judge === 'rpo').map((step) => step.resource))];
  const target = plan.objectives.rpoSeconds;
  let worst: { name: string; lag: number } | null = null;
  for (const name of resources) {
    const lag = Object.hasOwn(lagSeconds, name) ? lagSeconds[name] : undefined;
    if (lag === undefined || lag === null || !Number.isFinite(lag))
      return unknownRpo(target, `the lag of ${name} is not known`);
    if (worst === null || lag > worst.lag) worst = { name, lag };
  }
  if (worst === null) return unknownRpo(target, 'the plan moves nothing that loses data');
  const seconds = plan.mode === 'graceful' ? 0 : worst.lag;
  const loser = seconds > 0 ? worst.name : null;
  return { seconds, confidence: 'estimated', worst: loser, verdict: judge(target, seconds) };
}

function unknownRpo(target: number, why: string): Forecast['rpo'] {
  return { seconds: null, confidence: 'unknown', worst: null, verdict: judge(target, null, why) };
}

function gatesBeforeVerified(plan: Plan): string[] {
  const asked = plan.steps.filter(
    (s) => s.verb === 'approve' && s.modes.includes(plan.mode) && s.gate?.preApprovedBy === null,
  );
  const afterVerified = (step: PlanStep): boolean => {
    const before = step.after.flatMap((id) => plan.steps.find((s) => s.id === id) ?? []);
    return before.some((s) => s.clock === 'verified' || afterVerified(s));
  };
  return asked.filter((step) => !afterVerified(step)).map((step) => step.id);
}
