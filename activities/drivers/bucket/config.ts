import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Json, PlanResource } from '../../../workflows/engine/plan.ts';
import { resolveReference } from '../../references.ts';
import type { S3Credentials } from '../../s3/sign.ts';

const reference = /^(env|file):.+/;

/** What the estate says of a bucket besides its sites. */
const sharedSchema = z.object({
  /** Name of the bucket, the same at both sites. */
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is no name of a bucket'),
  region: z.string().min(1).default('us-east-1'),
  /** Whether objects are copied to the other site. `none`: they stay where they were written. */
  replication: z.literal('none'),
});

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
  replication: 'replication: none (objects stay at the site where they were written, and no loss is measured for them)',
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
    const fix = `use bucket, region, replication, after or a site: ${sites.join(', ')}`;
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
