import { setTimeout as sleep } from 'node:timers/promises';
import { toMusterError } from '../../../workflows/engine/errors.ts';
import type { Confidence, Measurement } from '../../../workflows/engine/measure.ts';
import type { Json, JsonObject } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbHandler, VerbInput } from '../../driver.ts';
import type { DriverServices } from './services.ts';

/** A verb's two halves before they are given their services. */
export interface DriverVerb {
  perform(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome>;
  confirm?(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome>;
}

export function done(evidence: JsonObject, measurements: Measurement[] = []): PerformOutcome {
  return { status: 'done', evidence, measurements };
}

/** Figure of a resource; `null` makes it unknown whatever was claimed. */
export function measure(
  input: VerbInput,
  name: string,
  unit: string,
  figure: { value: number | null; method: string; confidence?: Confidence },
): Measurement {
  const { value, method, confidence = 'measured' } = figure;
  return {
    name,
    resource: input.resource.name,
    value,
    unit,
    method,
    confidence: value === null ? 'unknown' : confidence,
  };
}

/**
 * Runs the part of a verb that follows a change. Whatever it throws, the world is no longer as it was: the outcome is
 * unknown and will be read back.
 */
export async function afterChange(work: () => Promise<PerformOutcome>): Promise<PerformOutcome> {
  try {
    return await work();
  } catch (err) {
    return { status: 'unknown', why: toMusterError(err).message };
  }
}

/** Repeats `look` until it gives something or time is up (then `null`). */
export async function poll<T>(
  options: { limitMs: number; everyMs: number; context: VerbContext },
  look: () => Promise<T | null>,
): Promise<T | null> {
  const endsAt = performance.now() + options.limitMs;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    options.context.heartbeat();
    if (options.context.signal.aborted || performance.now() + options.everyMs > endsAt) return null;
    await sleep(options.everyMs);
  }
}

/** Part of an attempt's time that may be spent waiting, so that there is time left to answer. */
export function waitMs(input: VerbInput): number {
  return Math.max(50, input.timeoutMs * 0.8);
}

/** Newest value under `key` in the evidence of earlier steps of this resource. */
export function evidenceNamed(input: VerbInput, key: string): Json | undefined {
  return Object.values(input.evidence).findLast((evidence) => evidence[key] !== undefined)?.[key];
}

/** Evidence text under `key`, `null` when there is none. */
export function evidenceText(input: VerbInput, key: string): string | null {
  const value = evidenceNamed(input, key);
  return typeof value === 'string' ? value : null;
}

export function bindVerb(
  verb: DriverVerb,
  description: Omit<VerbHandler, 'perform' | 'confirm'>,
  services: DriverServices,
): VerbHandler {
  const { perform, confirm } = verb;
  return {
    ...description,
    perform: (input, context) => perform(input, context, services),
    ...(confirm === undefined ? {} : { confirm: (input, context) => confirm(input, context, services) }),
  };
}
