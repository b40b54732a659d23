import type { DriverDescription, VerbDescription } from '../workflows/engine/catalogue.ts';
import type { ClockName, JsonObject, Plan, PlanResource, Verb } from '../workflows/engine/plan.ts';
import type { StepResult } from '../workflows/engine/run.ts';

/** Everything a verb is told: plain data, the same on every attempt of the step but for `attempt`. */
export interface VerbInput {
  runId: string;
  stepId: string;
  verb: Verb;
  resource: PlanResource;
  /** The plan without its steps: service, sites, epoch, mode, objectives. */
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

/** What the shell gives a verb besides its input. */
export interface VerbContext {
  /** Aborted when the attempt's time is up or the worker shuts down. */
  signal: AbortSignal;
  /** Tells the shell that the verb is alive; cheap, may be called often. */
  heartbeat(detail?: string): void;
  log(message: string, fields?: Record<string, unknown>): void;
}

/**
 * `done` only after the world was read back. `not-yet`: the order was given and is still on its way.
 * `unknown`: nobody can tell. A failure that certainly changed nothing is thrown as a MusterError.
 */
export type PerformOutcome =
  | ({ status: 'done' } & StepResult)
  | { status: 'not-yet'; why: string }
  | { status: 'unknown'; why: string };

/** Read back from the world, changing nothing. `not-yet` = it is certain that it has not (fully) happened. */
export type ConfirmOutcome = PerformOutcome;

export interface VerbHandler extends VerbDescription {
  perform(input: VerbInput, context: VerbContext): Promise<PerformOutcome>;
  /** Required for effects other than `read`. */
  confirm?(input: VerbInput, context: VerbContext): Promise<ConfirmOutcome>;
}

export interface Driver extends Omit<DriverDescription, 'verbs'> {
  verbs: Partial<Record<Verb, VerbHandler>>;
}
