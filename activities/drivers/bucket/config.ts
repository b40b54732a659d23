import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Json, PlanResource } from '../../../workflows/engine/plan.ts';
import { resolveReference } from '../../references.ts';
import type { S3Credentials } from '../../s3/sign.ts';
import { globToRegExp } from '../../mover/run/filter.ts';
import { parseTimetable } from '../../mover/run/timetable.ts';

const reference = /^(env|file):.+/;
const duration = /^(\d+)(s|m|h|d)$/;

const timetable = (rateOf?: (text: string) => number | undefined) =>
  z.string().refine((text) => isTimetable(text, rateOf), 'is no rate such as 10M, or 08:00,10M 18:00,off');

const globs = z.array(z.string().min(1).refine(isGlob, 'is no glob such as receipts/** or *.pdf'));

const replicateSchema = z.strictObject({
  /** Bytes a second, or by the time of the week. */
  bandwidth: timetable().optional(),
  /** Requests a second, likewise. */
  requests: timetable(parseCount).optional(),
  /** Objects under way at once. */
  transfers: z.int().min(1).max(256).default(32),
  /** Both sites are listed and compared so often, as a check on the change log. */
  compareEvery: z.string().regex(duration, 'is no time such as 12h').default('24h'),
  /** Stops when more of the copies than this would be deleted within an hour, percent. */
  deleteGuard: z.number().min(0).max(100).default(50),
  /** What the keys begin with that are copied; all others stay where they are. */
  prefix: z
    .string()
    .min(1)
    .refine((text) => !text.startsWith('.muster/'), 'is what Muster keeps for itself, which is never copied')
    .optional(),
  /** Globs of keys that are copied; without any, all of them. */
  include: globs.default([]),
  /** Globs of keys that stay where they are, though others mean them. */
  exclude: globs.default([]),
});

/** What the estate says of a bucket besides its sites. */
const sharedSchema = z.object({
  /** Name of the bucket, the same at both sites. */
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is no name of a bucket'),
  region: z.string().min(1).default('us-east-1'),
  /**
   * Whether objects are copied to the other site. `none`: they stay where they were written. `async`: each write follows,
   * as its cluster's change log tells it.
   */
  replication: z.enum(['none', 'async']),
  /** How they are copied. */
  replicate: replicateSchema.prefault({}),
});

/** How a replicated bucket is copied. */
export type ReplicateSettings = z.infer<typeof replicateSchema>;

/** Whether the estate wants this bucket copied to the other site. */
export function isReplicated({ shared }: Pick<PlanResource, 'shared'>): boolean {
  return shared['replication'] === 'async';
}

/** How a bucket is copied. @throws MusterError CONFIG_INVALID */
export function replicateSettings(resource: PlanResource): ReplicateSettings {
  return parsed(sharedSchema.safeParse(resource.shared), resource.name).replicate;
}

/** What it says of each site: the nodes of its storage cluster, and the keys of their root account. */
const siteSchema = z.strictObject({
  /** Reference to, or list of, the nodes' base addresses, separated by commas. */
  endpoints: z.string().min(1),
  accessKey: z.string().regex(reference),
  secretKey: z.string().regex(reference),
  /** PEM file of the authority of the nodes' certificates, for https. */
  caFile: z.string().min(1).optional(),
});

/** A site's cluster as this process reaches it. Holds secrets: never log it. */
export interface BucketSite {
  site: string;
  bucket: string;
  /** Every node: each is told of a lease by itself. */
  endpoints: URL[];
  credentials: S3Credentials;
  ca: string | undefined;
}

/** Resolves a site's part of a bucket. @throws MusterError CONFIG_INVALID, SITE_UNKNOWN, SECRET_MISSING */
export function bucketSite(resource: PlanResource, site: string, env: NodeJS.ProcessEnv = process.env): BucketSite {
  const settings = resource.sites[site];
  if (settings === undefined) throw new MusterError('SITE_UNKNOWN', `resource ${resource.name} has no site ${site}`);
  const shared = parsed(sharedSchema.safeParse(resource.shared), resource.name);
  const own = parsed(siteSchema.safeParse(settings), `${resource.name} at ${site}`);
  const texts = resolveReference(own.endpoints, env)
    .split(',')
    .map((text) => text.trim());
  const bad = texts.find((text) => !URL.canParse(text) || !/^https?:/.test(text));
  if (bad !== undefined) {
    throw new MusterError('CONFIG_INVALID', `${resource.name} at ${site}: endpoints holds "${bad}", which is no URL`);
  }
  return {
    site,
    bucket: shared.bucket,
    endpoints: texts.map((text) => new URL(text)),
    credentials: {
      accessKey: resolveReference(own.accessKey, env),
      secretKey: resolveReference(own.secretKey, env),
      region: shared.region,
    },
    ca: own.caFile === undefined ? undefined : readCa(resource.name, resolveReference(own.caFile, env)),
  };
}

/** Milliseconds of a time such as `12h`. */
export function durationMs(text: string): number {
  const [, number = '0', unit = 's'] = duration.exec(text) ?? [];
  return Number(number) * { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit as 's' | 'm' | 'h' | 'd'];
}

/** A number of requests a second; `off` is no limit. @throws MusterError CONFIG_INVALID */
export function parseCount(text: string): number | undefined {
  if (text === 'off') return undefined;
  const count = Number(text);
  if (Number.isFinite(count) && count > 0) return count;
  throw new MusterError('CONFIG_INVALID', `"${text}" is no number of requests a second`);
}

function isGlob(text: string): boolean {
  try {
    globToRegExp(text);
    return true;
  } catch {
    return false;
  }
}

function isTimetable(text: string, rateOf?: (text: string) => number | undefined): boolean {
  try {
    parseTimetable(text, rateOf);
    return true;
  } catch {
    return false;
  }
}

function readCa(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MusterError('CONFIG_INVALID', `${name}: the certificates in ${file} cannot be read`, { cause });
  }
}

function parsed<T>(result: z.ZodSafeParseResult<T>, what: string): T {
  if (result.success) return result.data;
  throw new MusterError('CONFIG_INVALID', `${what}: ${z.prettifyError(result.error)}`);
}

type Problem = { path: (string | number)[]; message: string; fix: string };

const fixes: Record<string, string> = {
  bucket: 'bucket: receipts',
  region: 'region: us-east-1, or leave it out',
  replication:
    'replication: async (each write follows to the other site), or none (objects stay where they were written, and no loss is measured for them)',
  replicate:
    'replicate: { prefix: receipts/, exclude: ["*.tmp"], bandwidth: 10M, transfers: 32, compareEvery: 24h, deleteGuard: 50 }, or leave it out',
  endpoints: 'endpoints: env:MUSTER_HANGZHOU_RECEIPTS_URLS (all nodes, separated by commas)',
  accessKey: 'accessKey: env:MUSTER_RECEIPTS_USER',
  secretKey: 'secretKey: env:MUSTER_RECEIPTS_PASSWORD',
  caFile: 'caFile: file:/path/ca.pem is not wanted here; caFile: /path/ca.pem is',
};

/** Checks the estate's entry of one bucket. */
export function validateBucket(resource: Json, sites: readonly string[]): Problem[] {
  if (resource === null || typeof resource !== 'object' || Array.isArray(resource)) {
    return [{ path: [], message: 'is no mapping', fix: 'give it driver, bucket, replication and its sites' }];
  }
  const problems = problemsOf(sharedSchema.safeParse(resource), []);
  for (const site of sites) problems.push(...problemsOf(siteSchema.safeParse(resource[site]), [site]));
  const known = new Set(['driver', 'after', ...Object.keys(sharedSchema.shape), ...sites]);
  for (const key of Object.keys(resource)) {
    if (known.has(key)) continue;
    const fix = `use bucket, region, replication, replicate, after or a site: ${sites.join(', ')}`;
    problems.push({ path: [key], message: 'is no setting of a bucket', fix });
  }
  return problems;
}

function problemsOf(result: z.ZodSafeParseResult<unknown>, at: string[]): Problem[] {
  if (result.success) return [];
  return result.error.issues.map(({ path, message, code }): Problem => {
    const key = String(path[0] ?? '');
    const isSecret = key === 'accessKey' || key === 'secretKey';
    const said = isSecret ? 'must be a reference, never the key itself' : message;
    const fix = fixes[key] ?? `${at[0] ?? 'site'}: { endpoints: env:..., accessKey: env:..., secretKey: env:... }`;
    return {
      path: [...at, ...path.map(String)],
      message: code === 'invalid_type' && isSecret ? 'is missing' : said,
      fix,
    };
  });
}
