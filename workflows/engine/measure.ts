/** Figures and their honesty. A number nobody measured is `unknown`, and unknown never passes (design §1.2). */
import type { Plan, PlanStep } from './plan.ts';

export type Confidence = 'measured' | 'estimated' | 'unknown';

/** One figure about one resource, e.g. the data loss of `orders` in seconds as canary marks saw it. */
export interface Measurement {
  /** e.g. `rpoSeconds`, `lagBytes`, `lagSeconds`, `lostRows`, `rejoinSeconds`. */
  name: string;
  /** Resource in the estate; `''` for the service as a whole. */
  resource: string;
  /** `null` exactly when confidence is `unknown`. */
  value: number | null;
  unit: string;
  /** How it was measured: `canary`, `lsn`, `reply-age`, `provider`, `clients`, `count`, ... */
  method: string;
  confidence: Confidence;
}

export type Verdict =
  | { kind: 'met'; target: number; actual: number }
  | { kind: 'missed'; target: number; actual: number; by: number }
  | { kind: 'unknown'; target: number; why: string };

/** Judges a figure against its objective. Same unit for both. Only a measured or estimated value can be `met`. */
export function judge(target: number, actual: number | null, why = 'not measured'): Verdict {
  if (actual === null || Number.isNaN(actual)) return { kind: 'unknown', target, why };
  if (actual <= target) return { kind: 'met', target, actual };
  return { kind: 'missed', target, actual, by: actual - target };
}

/** The resources of a plan: those whose loss is judged, and those whose is not, since they are copied nowhere or not moved. */
export function lossResources(plan: Pick<Plan, 'steps'>): { judged: string[]; unmeasured: string[] } {
  const of = (wanted: (step: PlanStep) => boolean): string[] =>
    plan.steps.filter(wanted).map(({ resource }) => resource);
  const measured = new Set(of(({ judge: objective }) => objective === 'rpo'));
  const looked = new Set(of(({ verb }) => verb === 'observe'));
  const promoted = [...new Set(of(({ verb }) => verb === 'promote'))];
  const restored = new Set(of(({ verb }) => verb === 'restore'));
  const left = of(({ args }) => args['moved'] === false).filter((name) => !restored.has(name));
  const unmeasured = [...promoted.filter((name) => looked.has(name) && !measured.has(name)), ...new Set(left)];
  return { judged: [...new Set([...measured, ...promoted])].filter((name) => !unmeasured.includes(name)), unmeasured };
}

/**
 * The data loss to report for a service, in seconds: for each resource the larger of its methods (they guard each other;
 * of one method the last figure counts: a check before the fence is a forecast), and of the resources the worst. One resource without a single known figure makes the whole unknown.
 */
export function worstRpoSeconds(measurements: readonly Measurement[], resources: readonly string[]): number | null {
  let worst = 0;
  for (const resource of resources) {
    const last = new Map<string, number>();
    for (const { name, resource: of, method, value } of measurements) {
      if (name === 'rpoSeconds' && of === resource && value !== null) last.set(method, value);
    }
    if (last.size === 0) return null;
    worst = Math.max(worst, ...last.values());
  }
  return resources.length === 0 ? null : worst;
}
