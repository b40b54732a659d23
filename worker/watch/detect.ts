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
export type Sightings = Readonly<Record<string, Pick<VantageView, 'up' | 'downForMs' | 'why'> | null>>;

export type Verdict =
  | { kind: 'up' }
  /** Somebody sees an outage, but not all agree. */
  | { kind: 'suspect'; sees: string[]; doubts: string[] }
  /** All agree; `downForMs` is the shortest that any of them has seen it. */
  | { kind: 'detected'; downForMs: number }
  /** Held long enough, and the policy lets the watch act. */
  | { kind: 'declared'; downForMs: number }
  /** Held long enough, but a person must decide. */
  | { kind: 'blocked'; downForMs: number; why: string };

const fewestVantages = 2;

/**
 * Judges one moment. Two vantage points outside the site must agree, for as long as the policy says; a flapping link or
 * a site that only one of them cannot reach declares nothing, and after an automatic declaration comes a pause.
 *
 * @param sinceLastAutomaticMs time since the last automatic declaration of this service, `null` when there was none
 */
export function detect(sightings: Sightings, policy: DetectPolicy, sinceLastAutomaticMs: number | null): Verdict {
  const entries = Object.entries(sightings);
  const sees = entries.filter(([, view]) => view !== null && !view.up).map(([name]) => name);
  if (sees.length === 0) return { kind: 'up' };
  const doubts = entries.filter(([, view]) => view === null || view.up).map(([name]) => name);
  if (doubts.length > 0 || sees.length < fewestVantages) return { kind: 'suspect', sees, doubts };
  const downForMs = Math.min(...entries.map(([, view]) => view?.downForMs ?? 0));
  if (downForMs < policy.holdMs) return { kind: 'detected', downForMs };
  if (policy.declare === 'ask') return { kind: 'blocked', downForMs, why: 'the policy lets a person declare' };
  if (sinceLastAutomaticMs !== null && sinceLastAutomaticMs < policy.cooldownMs) {
    const minutes = Math.ceil((policy.cooldownMs - sinceLastAutomaticMs) / 60_000);
    return {
      kind: 'blocked',
      downForMs,
      why: `declared automatically a short while ago; again in ${minutes} min at the earliest`,
    };
  }
  return { kind: 'declared', downForMs };
}
