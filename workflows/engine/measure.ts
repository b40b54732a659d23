/** Figures and their honesty. A number nobody measured is `unknown`, and unknown never passes (design §1.2). */

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

/**
 * The data loss to report for a service, in seconds: for each resource the larger of its methods (the two guard each
 * other), and of the resources the worst. One resource without a single known figure makes the whole unknown.
 */
export function worstRpoSeconds(measurements: readonly Measurement[], resources: readonly string[]): number | null {
  let worst = 0;
  for (const resource of resources) {
    const known = measurements.filter((m) => m.name === 'rpoSeconds' && m.resource === resource && m.value !== null);
    if (known.length === 0) return null;
    for (const m of known) worst = Math.max(worst, m.value ?? 0);
  }
  return resources.length === 0 ? null : worst;
}
