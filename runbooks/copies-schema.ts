import { z } from 'zod';
import { intervalPattern, spanPattern, timeOfDayPattern } from './intervals.ts';

/** What the estate says of long copies between buckets. */

const text = z.string().min(1);
const share = z.number().min(0).max(100);
const globs = z.array(text.describe('a glob')).describe('a list of globs: ["logs/**", "*.pdf"]');

const number = String.raw`(?:[1-9]\d*(?:\.\d+)?|0\.\d*[1-9])`;
const day = '(?:(?:sun|mon|tue|wed|thu|fri|sat)[a-z]*-)?';
/** Source: the mover's timetables, in the manner of rclone's `--bwlimit`. */
function timetable(unit: string, example: string): z.ZodString {
  const rate = `(?:off|${number}${unit})`;
  const entry = String.raw`${day}(?:[01]?\d|2[0-3]):[0-5]\d,${rate}`;
  const pattern = new RegExp(String.raw`^(?:${rate}|${entry}(?: ${entry})*)$`);
  return z.string().regex(pattern, 'neither a rate nor a timetable').describe(example);
}

export const sizePattern = /^(\d+(?:\.\d+)?)([KMGT])$/;
const size = z.string().regex(sizePattern, 'not a size').describe('a number and K, M, G or T (of 1,024): 128K');
const age = z.string().regex(spanPattern, 'not a span of time').describe('a number and s, m, h, d or w: 90d');

const filterShape = {
  prefix: text.describe('what the keys begin with: logs/').optional(),
  include: globs.optional(),
  exclude: globs.optional(),
  minSize: size.optional(),
  maxSize: size.optional(),
  minAge: age.optional(),
  maxAge: age.optional(),
  tag: z
    .record(text, z.string().describe('the value of a tag'))
    .describe('tags and their values: { class: cold }')
    .optional(),
};

const migrateSchema = z.strictObject({
  /** Else what is proved at the target goes at the source. */
  keepSource: z.boolean().describe('true or false').default(true),
});

const ruleSchema = z.strictObject({
  name: text.describe('a name for the rule'),
  tier: text.describe('a storage class of the source, e.g. STANDARD_IA').optional(),
  migrate: migrateSchema.describe('{ keepSource: false }').optional(),
  ...filterShape,
});

const shardSchema = z.strictObject({
  gib: z.number().min(1).max(4).describe('GiB, 1 to 4').default(4),
  minutes: z.number().min(1).max(5).describe('minutes, 1 to 5').default(5),
});

export const copySchema = z.strictObject({
  from: text.describe('s3://bucket/prefix, oss://bucket/prefix, or a reference to one'),
  to: text.describe('s3://bucket/prefix, oss://bucket/prefix, or a reference to one').optional(),
  /** Site without which it cannot be done; none when that is none of the estate's. */
  site: text.describe('the site without which it cannot be done').optional(),
  /** `both`: both sides have users, and what one wrote or deleted goes to the other. */
  direction: z.enum(['one-way', 'both']).describe('one-way or both').default('one-way'),
  /** Who has the last word where both wrote; `keep` leaves it to a person. */
  conflicts: z.enum(['keep', 'newer', 'from', 'to']).describe('keep, newer, from or to').optional(),
  ...filterShape,
  versions: z.boolean().describe('true or false').default(false),
  delete: z.boolean().describe('true or false').default(false),
  deleteGuard: share.describe('percent of the target that may be deleted, 0 to 100').optional(),
  verify: share.describe('percent of the copies that are read again, 0 to 100').default(0),
  compareBy: z.enum(['content', 'time', 'size']).describe('content, time or size').default('content'),
  properties: z.boolean().describe('true or false').default(false),
  overwrite: z.enum(['ours', 'older', 'always']).describe('ours, older or always').default('ours'),
  storageClass: text.describe('keep, default, or a storage class of the target').default('keep'),
  bandwidth: timetable('(?:[BKMGT](?:i?B)?)?', 'bytes a second: 10M, or by the time: "08:00,10M 18:00,off"').optional(),
  requests: timetable('', 'requests a second, in quotes: "200", or by the time: "08:00,50 18:00,off"').optional(),
  transfers: z.number().int().min(1).max(256).describe('objects at once, 1 to 256').default(32),
  shard: shardSchema.describe('{ gib: 4, minutes: 5 }').prefault({}),
  /** Counts first what there is to copy, so that the time that is left can be told. */
  measure: z.boolean().describe('true or false').default(true),
  every: z
    .string()
    .regex(intervalPattern, 'not an interval')
    .describe('an interval: 30m, 6h, 1d, hourly, daily, weekly, monthly, quarterly or yearly')
    .optional(),
  at: z.string().regex(timeOfDayPattern, 'not a time of day').describe('a time of day, UTC: "02:30"').optional(),
  rules: z
    .array(ruleSchema.describe('{ name: cold, tier: STANDARD_IA, minAge: 90d }'))
    .min(1)
    .describe('a list of lifecycle rules')
    .optional(),
});

export type CopyFile = z.infer<typeof copySchema>;
export type CopyRuleFile = z.infer<typeof ruleSchema>;
