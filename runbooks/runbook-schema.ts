import { z } from 'zod';
import { runKinds, verbs, type Verb } from '../workflows/engine/plan.ts';
import { parseDurationMs } from './durations.ts';

/** Verbs of drivers, as a step names them; gates, waits and messages have items of their own. */
export const stepVerbs: readonly Verb[] = verbs.filter((verb) => !['approve', 'wait', 'notify'].includes(verb));

const text = z.string().min(1);
const duration = z
  .string()
  .refine((value) => parseDurationMs(value) !== null, 'not a duration')
  .describe('a duration: 500ms, 30s, 2m or 1h');
const id = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,59}$/, 'not an id')
  .describe('lower-case letters, digits and -, at most 60');
const afterIds = z.array(text).describe('a list of step ids that stand above');
const onFailure = z
  .enum(['pause', 'retry', 'skip', 'ungraceful', 'abort'])
  .describe('pause, retry, skip, ungraceful or abort');
const args = z.record(z.string(), z.json()).describe('a mapping of the verb’s arguments');

/** What a step may have otherwise in one of the two modes. */
export const variantSchema = z.strictObject({
  within: duration.optional(),
  onFailure: onFailure.optional(),
  critical: z.boolean().describe('true or false').optional(),
  args: args.optional(),
});

const common = { id: id.optional(), after: afterIds.optional() };
/** `false`, or (steps only) a mapping: checked apart, since the two differ in their fixes. */
const modes = { graceful: z.unknown().optional(), ungraceful: z.unknown().optional() };

export const stepSchema = z.strictObject({
  ...(Object.fromEntries(stepVerbs.map((verb) => [verb, text.describe('the name of a resource').optional()])) as Record<
    Verb,
    z.ZodOptional<z.ZodString>
  >),
  ...common,
  ...modes,
  ...variantSchema.shape,
});

export const gateSchema = z.strictObject({
  gate: text.describe('the question to ask, in quotes'),
  approvals: z.number().int().min(1).describe('how many people must say yes, at least 1').default(1),
  approvers: z.array(text).describe('a list of names or roles').default([]),
  ...common,
  ...modes,
});

export const waitSchema = z.strictObject({ wait: duration, ...common, ...modes });
export const notifySchema = z.strictObject({ notify: text.describe('the message, in quotes'), ...common, ...modes });
export const parallelSchema = z.strictObject({
  parallel: z.array(z.unknown()).min(1).describe('a list of steps that run side by side'),
});

export const runbookSchema = z.strictObject({
  kind: z.enum(runKinds).describe(runKinds.join(', ')),
  service: text.describe('the name of a service in muster.yaml'),
  steps: z.array(z.unknown()).min(1).describe('a list of steps, e.g. "- fence: orders"'),
});
