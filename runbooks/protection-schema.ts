import { z } from 'zod';
import { intervalPattern, spanPattern, timeOfDayPattern } from './intervals.ts';

/** What the estate says of protection: vaults, backups with their restore tests, drills. */

const text = z.string().min(1);
const count = z.number().int().nonnegative().describe('a whole number');
const percent = z.number().positive().max(100).describe('a percentage above 0, at most 100');

const intervalText = 'an interval: 30m, 6h, 1d, hourly, daily, weekly, monthly, quarterly or yearly';
const interval = z.string().regex(intervalPattern, 'not an interval').describe(intervalText);
const span = (example: string): z.ZodString =>
  z.string().regex(spanPattern, 'not a span of time').describe(`a number and s, m, h, d or w: ${example}`);
const timeOfDay = z.string().regex(timeOfDayPattern, 'not a time of day').describe('a time of day, UTC: "02:30"');

/** Where backups lie, and what is done to keep them good. */
export const vaultSchema = z.strictObject({
  repository: text.describe('a directory, s3://… or oss://…, or a reference to one'),
  password: text.describe('a reference to the password of the repository: env:NAME or file:/path'),
  /** Site it lies at; none when it is at a place of its own. */
  site: text.describe('the site it lies at').optional(),
  /** Every pack is read again and compared with its hash within this time. */
  verifyWithin: span('30d').optional(),
  /** What was written cannot be removed for so long, where the store offers that. */
  lock: span('30d').optional(),
  /** When what no backup keeps is removed; daily where any has `keep`. */
  prune: interval.optional(),
  /** Another vault that is kept as a copy of this one. */
  copyTo: text.describe('the name of another vault').optional(),
  /** How often the copy is brought up to date; daily when not given. */
  copyEvery: interval.optional(),
});

/** How many recovery points to keep; `{}` keeps everything. */
const keepSchema = z.strictObject({
  last: count.optional(),
  hourly: count.optional(),
  daily: count.optional(),
  weekly: count.optional(),
  monthly: count.optional(),
  yearly: count.optional(),
  within: z
    .string()
    .regex(/^([1-9]\d*[ymdh])+$/, 'not a span of the calendar')
    .describe('a span of the calendar: 14d, 1y6m')
    .optional(),
});

/** As `ProofChecks` of workflows/engine/protection.ts. */
const checksSchema = z.strictObject({
  rows: z
    .array(
      z
        .strictObject({
          database: text.describe('the name of a database').optional(),
          table: text.describe('the name of a table'),
          min: count.optional(),
          max: count.optional(),
        })
        .describe('{ table: orders, min: 1 }'),
    )
    .describe('a list of tables and how many rows they must have')
    .optional(),
  sql: z
    .array(
      z
        .strictObject({
          name: text.describe('a name for the report'),
          database: text.describe('the name of a database').optional(),
          sql: text.describe('a query whose first row and column must be true'),
        })
        .describe('{ name: totals agree, sql: SELECT … }'),
    )
    .describe('a list of queries')
    .optional(),
  canaryMaxAgeSeconds: z.number().positive().describe('seconds, above 0').optional(),
  http: z
    .array(
      z
        .strictObject({
          url: text.describe('an address; {port} and {url} stand for where the restored copy is'),
          status: z.number().int().min(100).max(599).describe('an HTTP status').optional(),
          contains: text.describe('a piece of the answer').optional(),
        })
        .describe('{ url: "http://127.0.0.1:{port}/health" }'),
    )
    .describe('a list of requests')
    .optional(),
  start: z.array(text.describe('an argument')).min(1).describe('a program and its arguments, as a list').optional(),
  scanner: z.array(text.describe('an argument')).min(1).describe('a program and its arguments, as a list').optional(),
  samplePercent: percent.optional(),
  maxChangedPercent: percent.optional(),
  maxScrambledPercent: percent.optional(),
});

const restoreTestText = 'an interval, or { every: weekly, point: random, checks: { … } }';
const restoreTestSchema = z.strictObject({
  every: interval,
  at: timeOfDay.optional(),
  /** Which recovery point: the newest, or any by chance. */
  point: z.enum(['newest', 'random']).describe('newest or random').default('newest'),
  /** `latest` replays the archived WAL as far as it goes. */
  target: z.enum(['point', 'latest']).describe('point or latest').default('point'),
  checks: checksSchema.describe('what the restored copy must stand, e.g. { rows: [] }').default({}),
});

export const backupSchema = z.strictObject({
  resource: text.describe('the name of a resource of this service'),
  every: interval,
  /** UTC; for what is made of whole days. */
  at: timeOfDay.optional(),
  keep: keepSchema.describe('{ daily: 14, monthly: 12 }').optional(),
  to: text.describe('the name of a vault'),
  restoreTest: z.union([interval, restoreTestSchema]).optional().describe(restoreTestText),
  /** PostgreSQL: how its rows name objects of a bucket, so that a restore can say what dangles. */
  references: z
    .array(
      z
        .strictObject({
          bucket: text.describe('the name of a bucket of this service'),
          database: text.describe('the name of a database').optional(),
          sql: text.describe('a query whose first column is the key of an object'),
        })
        .describe('{ bucket: receipts, sql: SELECT … }'),
    )
    .describe('a list of queries that yield keys of objects')
    .optional(),
  /** PostgreSQL: whether the WAL goes to the vault as well, and whether commits wait for it. */
  wal: z.enum(['stream', 'synchronous']).describe('stream or synchronous').optional(),
  /** Each start is put off by chance, at most so long, so that not everything starts at once. */
  jitter: span('5m').optional(),
  /** A start that was missed by no more than this is made up for; one missed by more is not. */
  catchUp: span('1h').optional(),
});

export const drillSchema = z.strictObject({
  every: interval,
  kind: z.enum(['isolated', 'live']).describe('isolated or live'),
});

export type VaultFile = z.infer<typeof vaultSchema>;
export type BackupFile = z.infer<typeof backupSchema>;
export type RestoreTestFile = z.infer<typeof restoreTestSchema>;
