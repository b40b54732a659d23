import path from 'node:path';
import { z } from 'zod';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Json, PlanResource } from '../../../workflows/engine/plan.ts';
import type { Vault } from '../../../workflows/engine/protection.ts';
import { excludeBy } from '../../backup/source/excludes.ts';
import { resolveReference } from '../../references.ts';

const reference = /^(env|file):.+/;

/** What the estate says of a directory besides its sites. */
const sharedSchema = z.object({
  /** Patterns as restic's; one that begins with a slash counts from the directory, others at any depth. */
  exclude: z.array(z.string().min(1).refine(isPattern, 'is no pattern, or leaves out everything')).default([]),
  /** Other file systems mounted in it are left out. */
  oneFileSystem: z.boolean().default(false),
  /** False: extended attributes and ACLs are not saved, and the tools that read them are not asked for. */
  xattrs: z.boolean().default(true),
});

/** What it says of each site: where it lies there. */
const siteSchema = z.strictObject({
  path: z.string().refine(isPlace, 'is no path from the root'),
});

const vaultSchema = z.object({
  name: z.string(),
  repository: z.string(),
  password: z.string(),
  site: z.string().nullable(),
  verifyWithinSeconds: z.number().nullable(),
  lockSeconds: z.number().nullable(),
});

/** Put in by `compile`: where its backups are, for runbooks that save or restore it. */
const vaultsSchema = z.object({ vault: vaultSchema.optional(), survivingVault: vaultSchema.optional() });

export interface DirectorySettings {
  /** Absolute, on the machine of the site's agent. */
  path: string;
  exclude: string[];
  oneFileSystem: boolean;
  xattrs: boolean;
}

/** A directory of the estate at one site. @throws MusterError CONFIG_INVALID, SITE_UNKNOWN, SECRET_MISSING */
export function directoryAt(
  { name, shared, sites }: PlanResource,
  site: string,
  env: NodeJS.ProcessEnv = process.env,
): DirectorySettings {
  const settings = sites[site];
  if (settings === undefined) throw new MusterError('SITE_UNKNOWN', `resource ${name} has no site ${site}`);
  const common = parsed(sharedSchema.safeParse(shared), name);
  const own = parsed(siteSchema.safeParse(settings), `${name} at ${site}`);
  const at = resolveReference(own.path, env);
  if (path.isAbsolute(at)) return { ...common, path: path.resolve(at) };
  throw new MusterError('CONFIG_INVALID', `${name} at ${site}: "${at}" is no path from the root`);
}

/** The vaults of a directory in a plan: the one its backups go to, and one that is there when the source is lost. */
export function vaultsOf({ name, shared }: PlanResource): { vault?: Vault; survivingVault?: Vault } {
  const { vault, survivingVault } = parsed(vaultsSchema.safeParse(shared), name);
  return { ...(vault !== undefined && { vault }), ...(survivingVault !== undefined && { survivingVault }) };
}

function isPattern(pattern: string): boolean {
  try {
    excludeBy([pattern]);
    return true;
  } catch {
    return false;
  }
}

function isPlace(text: string): boolean {
  return reference.test(text) || path.isAbsolute(text);
}

function parsed<T>(result: z.ZodSafeParseResult<T>, what: string): T {
  if (result.success) return result.data;
  throw new MusterError('CONFIG_INVALID', `${what}: ${z.prettifyError(result.error)}`);
}

type Problem = { path: (string | number)[]; message: string; fix: string };

const fixes: Record<string, string> = {
  exclude: "exclude: ['*.tmp', /cache], or leave it out",
  oneFileSystem: 'oneFileSystem: true, or leave it out',
  xattrs: 'xattrs: false, or leave it out',
  path: 'path: /srv/uploads, or a reference such as env:MUSTER_UPLOADS',
};

/** Checks the estate's entry of one directory. */
export function validateDirectory(resource: Json, sites: readonly string[]): Problem[] {
  if (resource === null || typeof resource !== 'object' || Array.isArray(resource)) {
    return [{ path: [], message: 'is no mapping', fix: 'give it driver and its sites, each with a path' }];
  }
  const problems = problemsOf(sharedSchema.safeParse(resource), []);
  for (const site of sites) problems.push(...problemsOf(siteSchema.safeParse(resource[site]), [site]));
  const known = new Set(['driver', 'after', ...Object.keys(sharedSchema.shape), ...sites]);
  for (const key of Object.keys(resource)) {
    if (known.has(key)) continue;
    const fix = `use exclude, oneFileSystem, xattrs, after or a site: ${sites.join(', ')}`;
    problems.push({ path: [key], message: 'is no setting of a directory', fix });
  }
  return problems;
}

function problemsOf(result: z.ZodSafeParseResult<unknown>, at: string[]): Problem[] {
  if (result.success) return [];
  return result.error.issues.map((issue): Problem => {
    const { path: where, message } = issue;
    if (issue.code === 'unrecognized_keys') {
      const [key = ''] = issue.keys;
      return { path: [...at, key], message: 'is no setting of a site of a directory', fix: fixes['path']! };
    }
    const fix = fixes[String(where[0] ?? '')] ?? `${at[0] ?? 'site'}: { path: /srv/uploads }`;
    return { path: [...at, ...where.map(String)], message, fix };
  });
}
