import { judge, lossResources, type Confidence, type Measurement } from '../../workflows/engine/measure.ts';
import type { ClockName } from '../../workflows/engine/plan.ts';
import { clockId } from './clocks.ts';
import type { Facts } from './facts.ts';
import { formatSeconds } from './format.ts';
import type { ObjectiveReport, RpoReport, RtoReport, RunReport } from './model.ts';

type Span = RtoReport['business'];

/**
 * How long clients were away. With a known fault it is t7 - t0; a run that began gracefully, or a drill, has no fault
 * and is judged from its start. An unplanned run without a fault time stays unknown. Null for a run that serves nobody.
 */
export function rtoOf({ plan, state }: Facts): RtoReport | null {
  if (plan.kind === 'reprotect' || !plan.steps.some((step) => step.clock === 'verified')) return null;
  const { clocks } = state;
  const planned = plan.mode === 'graceful' || plan.drill || plan.kind === 'drill';
  return {
    targetSeconds: plan.objectives.rtoSeconds,
    business: spanOf(clocks, 'fault', 'verified'),
    declared: spanOf(clocks, 'declared', 'verified'),
    technical: spanOf(clocks, 'started', 'verified'),
    waitedForPeopleSeconds: Math.max(0, state.waitedForPeopleMs) / 1000,
    basis: clocks.fault === undefined && planned ? 'technical' : 'business',
  };
}

function spanOf(clocks: Partial<Record<ClockName, number>>, from: ClockName, to: ClockName): Span {
  for (const name of [from, to])
    if (clocks[name] === undefined) return { seconds: null, why: `${clockId(name)} (${name}) was not stamped` };
  const seconds = ((clocks[to] ?? 0) - (clocks[from] ?? 0)) / 1000;
  return seconds < 0 ? { seconds: null, why: `${clockId(to)} lies before ${clockId(from)}` } : { seconds, why: null };
}

/** What was lost, by resource and method. The larger method is the figure: they guard each other. */
export function rpoOf({ plan, state, measurements }: Facts): RpoReport | null {
  const { judged: names, unmeasured } = lossResources(plan);
  if (plan.kind === 'reprotect' || names.length === 0) return null;
  const resources = names.map((resource) => rpoOfResource(resource, measurements));
  const missing = resources.filter((r) => r.seconds === null).map((r) => r.resource);
  const moves = plan.steps.some((step) => step.verb === 'promote');
  const why =
    moves && state.clocks.promoted === undefined
      ? 'nothing was promoted, so no loss is final'
      : missing.length > 0
        ? `the loss of ${missing.join(', ')} was not measured`
        : null;
  const seconds = why === null ? Math.max(...resources.map((r) => r.seconds ?? 0)) : null;
  return { targetSeconds: plan.objectives.rpoSeconds, seconds, why, resources, unmeasured };
}

function rpoOfResource(resource: string, measurements: readonly Measurement[]): RpoReport['resources'][number] {
  // A figure taken again under the same method replaces the earlier one: the loss is frozen last, at t4.
  const byMethod = new Map<string, Measurement>();
  for (const m of measurements) if (m.name === 'rpoSeconds' && m.resource === resource) byMethod.set(m.method, m);
  const methods = [...byMethod.values()].map(({ method, value, confidence }) => {
    const known = value !== null && Number.isFinite(value) && confidence !== 'unknown';
    return known
      ? { method, seconds: Math.max(0, value), confidence }
      : { method, seconds: null, confidence: 'unknown' as Confidence };
  });
  const largest = methods.reduce<(typeof methods)[number] | null>(
    (best, m) => (m.seconds !== null && m.seconds > (best?.seconds ?? -1) ? m : best),
    null,
  );
  return { resource, seconds: largest?.seconds ?? null, confidence: largest?.confidence ?? 'unknown', methods };
}

/** Both objectives of a run, judged. Unknown never passes. */
export function objectivesOf(run: RunReport): ObjectiveReport[] {
  return [
    ...(run.rto === null ? [] : [rtoObjective(run, run.rto)]),
    ...(run.rpo === null ? [] : [rpoObjective(run, run.rpo)]),
  ];
}

function rtoObjective(run: RunReport, rto: RtoReport): ObjectiveReport {
  const { seconds, why } = rto[rto.basis];
  const start = rto.basis === 'business' ? 'after the fault' : 'after the run started';
  const method = rto.basis === 'business' ? 'business: t7 − t0' : 'technical: t7 − t3';
  const said = {
    known: (text: string) => `Clients were served again ${text} ${start}`,
    unknown: `Nobody can say how long clients were away: ${why ?? 'not measured'}`,
  };
  return {
    id: 'rto',
    ...judged(run, rto.targetSeconds, seconds, said),
    method,
    confidence: confidenceOf(seconds, 'measured'),
  };
}

function rpoObjective(run: RunReport, rpo: RpoReport): ObjectiveReport {
  const worst = rpo.resources.find((r) => r.seconds === rpo.seconds);
  const methods = worst?.methods.filter((m) => m.seconds === rpo.seconds).map((m) => m.method) ?? [];
  const method = rpo.seconds === null ? 'none' : `${methods.join(', ')}, largest of its methods`;
  // A sentence about everything must not be built on a part.
  const of = rpo.unmeasured.length === 0 ? '' : ` of ${rpo.resources.map((r) => r.resource).join(', ')}`;
  const said = {
    known: (text: string) =>
      rpo.seconds === 0 ? `No writes${of} were lost (0 s)` : `At most ${text} of writes${of} were lost`,
    unknown: `Nobody can say what was lost: ${rpo.why ?? 'not measured'}`,
  };
  const confidence = confidenceOf(rpo.seconds, worst?.confidence ?? 'unknown');
  return { id: 'rpo', ...judged(run, rpo.targetSeconds, rpo.seconds, said), method, confidence };
}

function confidenceOf(seconds: number | null, known: Confidence): Confidence {
  return seconds === null ? 'unknown' : known;
}

interface Said {
  known(text: string): string;
  unknown: string;
}

function judged(
  { runId }: RunReport,
  targetSeconds: number,
  actualSeconds: number | null,
  said: Said,
): Pick<ObjectiveReport, 'runId' | 'verdict' | 'targetSeconds' | 'actualSeconds' | 'sentence'> {
  const verdict = judge(targetSeconds, actualSeconds);
  const target = `objective ${formatSeconds(targetSeconds)}`;
  const sentence =
    verdict.kind === 'unknown'
      ? `${said.unknown}; ${target}: unknown, which does not pass.`
      : `${said.known(formatSeconds(verdict.actual))}; ${target}: ${verdict.kind === 'met' ? 'met' : `missed by ${formatSeconds(verdict.by)}`}.`;
  return { runId, verdict: verdict.kind, targetSeconds, actualSeconds, sentence };
}

/** Every other figure of a run, the last one of each kind. */
export function otherFigures({ measurements }: Facts): Measurement[] {
  const last = new Map<string, Measurement>();
  for (const m of measurements) if (m.name !== 'rpoSeconds') last.set(`${m.name} ${m.resource} ${m.method}`, m);
  return [...last.values()].map(({ name, resource, value, unit, method, confidence }) =>
    value === null || !Number.isFinite(value)
      ? { name, resource, value: null, unit, method, confidence: 'unknown' }
      : { name, resource, value, unit, method, confidence },
  );
}
