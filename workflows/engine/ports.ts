/** What crosses between the shells and the verbs: plain data, so that a workflow may name it without importing activities. */
import type { ClockName, JsonObject, Plan, PlanResource, Verb } from './plan.ts';
import type { StepResult } from './run.ts';

/** Everything a verb is told: the same on every attempt of the step but for `attempt`. */
export interface VerbInput {
  runId: string;
  stepId: string;
  verb: Verb;
  resource: PlanResource;
  /** The plan without its steps; `mode` is the run's present one. */
  plan: Omit<Plan, 'steps'>;
  /** Clocks stamped so far, Unix milliseconds (e.g. `fault` for the RPO). */
  clocks: Partial<Record<ClockName, number>>;
  args: JsonObject;
  /** Evidence of the steps already done for the same resource, by step id (e.g. the final LSN that a fence read). */
  evidence: Record<string, JsonObject>;
  token: string;
  attempt: number;
  timeoutMs: number;
}

/**
 * `done` only after the world was read back. `not-yet`: the order was given and is still on its way (perform), or it is
 * certain that it has not (fully) happened (confirm). `unknown`: nobody can tell.
 */
export type PerformOutcome =
  ({ status: 'done' } & StepResult) | { status: 'not-yet'; why: string } | { status: 'unknown'; why: string };

/** One call of a step's activity. */
export interface VerbCall {
  op: 'perform' | 'confirm';
  input: VerbInput;
}

/** A line of the run's record, as the ledger keeps it. */
export interface RunRecord {
  seq: number;
  atMs: number;
  what: string;
  stepId: string | null;
  data: JsonObject;
}
