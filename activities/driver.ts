import type { DriverDescription, VerbDescription } from '../workflows/engine/catalogue.ts';
import type { Verb } from '../workflows/engine/plan.ts';
import type { PerformOutcome, VerbInput } from '../workflows/engine/ports.ts';

export type { PerformOutcome, VerbInput } from '../workflows/engine/ports.ts';

/** What the shell gives a verb besides its input. */
export interface VerbContext {
  /** Aborted when the attempt's time is up or the worker shuts down. */
  signal: AbortSignal;
  /** Tells the shell that the verb is alive; cheap, may be called often. */
  heartbeat(detail?: string): void;
  log(message: string, fields?: Record<string, unknown>): void;
}

/** Read back from the world, changing nothing. */
export type ConfirmOutcome = PerformOutcome;

/**
 * A failure that certainly changed nothing is thrown as a MusterError; anything else a changing verb throws counts as
 * `unknown`, and is read back.
 */
export interface VerbHandler extends VerbDescription {
  perform(input: VerbInput, context: VerbContext): Promise<PerformOutcome>;
  /** Required for effects other than `read`. */
  confirm?(input: VerbInput, context: VerbContext): Promise<ConfirmOutcome>;
}

export interface Driver extends Omit<DriverDescription, 'verbs'> {
  verbs: Partial<Record<Verb, VerbHandler>>;
}
