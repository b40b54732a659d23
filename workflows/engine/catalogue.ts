import type { Effect, Json, Need, PlanResource, Verb } from './plan.ts';

/** Where a verb is performed: by the control plane, or by the agent of the run's `from` or `to` site. */
export type RunsAt = 'control' | 'from' | 'to';

/** What a driver says about one of its verbs, before anything runs. */
export interface VerbDescription {
  effect: Effect;
  needs: Need[];
  runsAt: RunsAt;
  estimateSeconds: number;
  /** Default budget of the step, seconds. */
  withinSeconds: number;
  /** Verb of the same driver that takes this one back; `null` with effect `change` means nothing needs undoing. */
  undo: Verb | null;
  /** Perform may be repeated under the same token after a read-back said `not-yet`. */
  repeatable: boolean;
}

/** A driver as data: what compile and lint know of it. `activities/drivers` provides the list. */
export interface DriverDescription {
  kind: string;
  verbs: Partial<Record<Verb, VerbDescription>>;
  /** Holds client data with one writer at a time: needs fence before promote and counts for the RPO. */
  stateful: boolean;
  /**
   * Whether a loss of this resource is measured and judged; always when not given. What is copied nowhere has no figure
   * and no objective: the estate says so, and reports repeat it.
   */
  measuresLoss?(resource: PlanResource): boolean;
  /**
   * Holds data that no run moves: it stays where it is, and the other site has of it what was restored there. It may be
   * backed up; plans, lint and reports say that it is not moved. Not stateful.
   */
  stationary?: boolean;
  /** Sends clients to a site: is switched after every stateful resource is promoted. */
  routes: boolean;
  /** Checks the driver's part of the estate. Paths are relative to the resource. Never echoes a secret's value. */
  validate(resource: Json, sites: readonly string[]): { path: (string | number)[]; message: string; fix: string }[];
}

export type DriverCatalogue = Readonly<Record<string, DriverDescription>>;
