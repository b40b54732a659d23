import type { VantageView } from '../../activities/guard/protocol.ts';

/** How the watch judges an outage; from the estate's policy. */
export interface DetectPolicy {
  declare: 'automatic' | 'ask';
  /** How long all vantage points must have seen it before it is declared. */
  holdMs: number;
  /** Least time between two automatic declarations. */
  cooldownMs: number;
}

/** What the vantage points say now. `null`: it could not be asked, and never counts as agreement. */
export type Sightings = Readonly<Record<string, Pick<VantageView, 'up' | 'downForMs' | 'failedForMs' | 'why'> | null>>;

export type Verdict =
  | { kind: 'up' }
  /** Somebody sees an outage, but not all agree; or nobody could look. */
  | { kind: 'suspect'; sees: string[]; doubts: string[]; why: string }
  /** All agree; `downForMs` is the shortest that any of them has seen it. */
  | { kind: 'detected'; downForMs: number }
  /** Held long enough, and the policy lets the watch act. */
  | { kind: 'declared'; downForMs: number }
  /** Held long enough, but a person must decide. */
  | { kind: 'blocked'; downForMs: number; why: string };

const fewestVantages = 2;
/** Budget of automatic declarations of one service; whoever needs more has a problem that moving does not solve. */
const mostAutomaticPerDay = 2;
const dayMs = 24 * 3_600_000;

/**
 * Judges one moment. All vantage points outside the site, two at least, must agree for as long as the policy says; a
 * flapping link or a site that only one of them cannot reach declares nothing, and after an automatic declaration comes
 * a pause. A writer that anybody sees is never moved, so there is no automatic failback.
 *
 * @param automaticAgesMs how long ago each automatic declaration of this service was; a single number or `null` is the
 *   newest one alone
 */
export function detect(
  sightings: Sightings,
  policy: DetectPolicy,
  automaticAgesMs: readonly number[] | number | null,
): Verdict {
  const entries = Object.entries(sightings);
  const named = (which: (view: Sightings[string]) => boolean): string[] =>
    entries.filter(([, view]) => which(view)).map(([name]) => name);
  const sees = named((view) => view !== null && !view.up);
  const up = named((view) => view?.up === true);
  const unknown = named((view) => view === null);
  if (sees.length === 0 && up.length > 0) return { kind: 'up' };
  if (up.length > 0 || unknown.length > 0 || sees.length < fewestVantages) {
    return { kind: 'suspect', sees, doubts: [...up, ...unknown], why: doubt(up, unknown) };
  }
  const downForMs = Math.min(...entries.map(([, view]) => view?.downForMs ?? 0));
  // The hold is counted from failures, not from the last success: an observer that did not look saw nothing.
  const heldMs = Math.min(...entries.map(([, view]) => view?.failedForMs ?? view?.downForMs ?? 0));
  if (heldMs < policy.holdMs) return { kind: 'detected', downForMs };
  const why = whyNotAutomatic(
    policy,
    typeof automaticAgesMs === 'number' ? [automaticAgesMs] : (automaticAgesMs ?? []),
  );
  return why === null ? { kind: 'declared', downForMs } : { kind: 'blocked', downForMs, why };
}

function doubt(up: readonly string[], unknown: readonly string[]): string {
  if (up.length > 0) return `not agreed: seen from ${up.join(', ')}`;
  if (unknown.length > 0) return `vantage point unknown: ${unknown.join(', ')} cannot be asked`;
  return 'a single vantage point decides nothing';
}

function whyNotAutomatic(policy: DetectPolicy, agesMs: readonly number[]): string | null {
  if (policy.declare === 'ask') return 'the policy lets a person declare';
  const newestMs = Math.min(...agesMs);
  if (newestMs < policy.cooldownMs) {
    const minutes = Math.ceil((policy.cooldownMs - newestMs) / 60_000);
    return `declared automatically a short while ago; again in ${minutes} min at the earliest`;
  }
  if (agesMs.filter((ageMs) => ageMs < dayMs).length >= mostAutomaticPerDay) {
    return `declared automatically ${mostAutomaticPerDay} times within a day; a person decides about more`;
  }
  return null;
}
