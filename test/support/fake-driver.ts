import type { Driver, VerbContext, VerbHandler } from '../../activities/driver.ts';
import type { PerformOutcome, VerbInput } from '../../workflows/engine/ports.ts';
import { verbs as verbNames, type Effect, type Verb } from '../../workflows/engine/plan.ts';

export type Behaviour = (input: VerbInput, context: VerbContext) => Promise<PerformOutcome>;

export const done: Behaviour = async () => ({ status: 'done', evidence: {}, measurements: [] });

const effects: Partial<Record<Verb, Effect>> = {
  check: 'read',
  observe: 'read',
  verify: 'read',
  promote: 'irreversible',
};

/** A driver whose verbs do what a test says, and note every call as `perform fence-orders`. */
export function fakeDriver(
  perform: Partial<Record<Verb, Behaviour>> = {},
  confirm: Partial<Record<Verb, Behaviour>> = {},
): { driver: Driver; calls: string[] } {
  const calls: string[] = [];
  const noted =
    (op: string, behaviour: Behaviour): Behaviour =>
    (input, context) => {
      calls.push(`${op} ${input.stepId}`);
      return behaviour(input, context);
    };
  const verbs: Partial<Record<Verb, VerbHandler>> = {};
  for (const verb of verbNames) {
    verbs[verb] = {
      effect: effects[verb] ?? 'change',
      needs: ['nothing'],
      runsAt: 'control',
      estimateSeconds: 1,
      withinSeconds: 5,
      undo: null,
      repeatable: true,
      perform: noted('perform', perform[verb] ?? done),
      confirm: noted('confirm', confirm[verb] ?? done),
    };
  }
  return { driver: { kind: 'fake', stateful: true, routes: false, validate: () => [], verbs }, calls };
}
