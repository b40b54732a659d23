import { z } from 'zod';
import type { DriverDescription } from '../../../workflows/engine/catalogue.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Json, PlanResource } from '../../../workflows/engine/plan.ts';
import { resolveReference } from '../../references.ts';
import { addressOf } from './conninfo.ts';
import type { ServerSettings } from './settings.ts';

const portNumber = z.number().int().min(1).max(65_535);

/** What the estate says of the database at one site. Strings may be references (`env:NAME`, `file:/path`). */
const siteSchema = z.strictObject({
  /** How the process that reads it reaches this database, as a superuser role of Muster's own. */
  url: z.string().min(1),
  /** How the other site's server reaches it to replicate; default: `url`. */
  replicationUrl: z.string().min(1).optional(),
  dataDir: z.string().min(1),
  /** PostgreSQL's programs; default: the bundled ones. */
  binDir: z.string().min(1).optional(),
  /** Where the server listens when the agent starts it; default: as in `url`. */
  host: z.string().min(1).optional(),
  port: z.union([portNumber, z.string().regex(/^(\d{1,5}|env:.+|file:.+)$/)]).optional(),
  /** Name of this site's replication slot on the other server; default `muster_<site>`. */
  slot: z
    .string()
    .regex(/^[a-z0-9_]{1,63}$/)
    .optional(),
});

/** What is the same for all sites. */
const sharedSchema = z.strictObject({
  /** Tables whose writes need the lease; `'*'` = all of them. */
  tables: z.union([z.literal('*'), z.array(z.string().min(1)).min(1)]),
  /** Commits wait until the standby has them: nothing acknowledged is lost, and writes stop when the standby does. */
  synchronous: z.boolean().default(false),
  /** Further settings of the servers, e.g. `{ shared_buffers: 1GB }`. */
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
});

type Problem = ReturnType<DriverDescription['validate']>[number];

/** Checks this driver's part of the estate; `driver` and `after` belong to the estate itself. Values are never echoed. */
export function validatePostgres(resource: Json, sites: readonly string[]): Problem[] {
  if (resource === null || typeof resource !== 'object' || Array.isArray(resource)) {
    return [{ path: [], message: 'must be a mapping', fix: 'Write the settings of the database below its name.' }];
  }
  const { driver: _driver, after: _after, ...own } = resource;
  const shared = Object.fromEntries(Object.entries(own).filter(([key]) => !sites.includes(key)));
  const problems = issuesOf(sharedSchema.safeParse(shared).error, []);
  for (const site of sites) {
    const settings = own[site];
    if (settings === undefined) {
      problems.push({ path: [site], message: `says nothing about ${site}`, fix: `Add ${site}: { url, dataDir }.` });
      continue;
    }
    problems.push(...issuesOf(siteSchema.safeParse(settings).error, [site]), ...urlProblems(settings, site));
  }
  return problems;
}

function issuesOf(error: z.ZodError | undefined, prefix: string[]): Problem[] {
  return (error?.issues ?? []).map((issue) => {
    const path = [...prefix, ...issue.path.filter((part) => typeof part !== 'symbol')];
    if (issue.code === 'unrecognized_keys') {
      const keys = issue.keys.join(', ');
      return {
        path: [...path, issue.keys[0] ?? ''],
        message: `unknown: ${keys}`,
        fix: 'Remove it, or check its spelling.',
      };
    }
    return {
      path,
      message: messageOf(issue),
      fix: fixes[String(path.at(-1))] ?? 'See docs: the settings of driver postgres.',
    };
  });
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.message.includes('undefined')) return 'is missing';
  return issue.message;
}

const fixes: Record<string, string> = {
  url: 'Give a reference such as env:ORDERS_URL to postgres://user:password@host:port/database.',
  replicationUrl: 'Give a reference such as env:ORDERS_REPLICATION_URL.',
  dataDir: 'Give the absolute path of the data directory at that site.',
  tables: "List the tables whose writes need the lease, or write '*' for all.",
  synchronous: 'Write true or false.',
  port: 'Give a port from 1 to 65535, or a reference to one.',
  slot: 'Use small letters, digits and _ only.',
};

/** A password in the file itself would travel in plans, histories and reports. */
function urlProblems(settings: Json, site: string): Problem[] {
  if (settings === null || typeof settings !== 'object' || Array.isArray(settings)) return [];
  return ['url', 'replicationUrl'].flatMap((key) => {
    const value = settings[key];
    if (typeof value !== 'string' || isReference(value)) return [];
    const fix = `Put it into the environment and write env:NAME, or into a file and write file:/path.`;
    if (!URL.canParse(value)) return [{ path: [site, key], message: 'is neither a reference nor a url', fix }];
    return new URL(value).password === '' ? [] : [{ path: [site, key], message: 'holds a password', fix }];
  });
}

function isReference(value: string): boolean {
  return value.startsWith('env:') || value.startsWith('file:');
}

/** The database of one site as this process needs it, references resolved. Holds secrets: never log it. */
export interface SiteServer {
  site: string;
  url: string;
  dataDir: string;
  binDir?: string;
  settings: ServerSettings;
  tables: string[] | '*';
  synchronous: boolean;
}

export function slotOf(resource: PlanResource, site: string): string {
  return siteConfig(resource, site).slot ?? `muster_${site.toLowerCase().replace(/[^a-z0-9_]/g, '_')}`.slice(0, 63);
}

export function sharedConfig(resource: PlanResource): z.infer<typeof sharedSchema> {
  return parsed(sharedSchema.safeParse(resource.shared), `resource ${resource.name}`);
}

function siteConfig(resource: PlanResource, site: string): z.infer<typeof siteSchema> {
  const settings = resource.sites[site];
  if (settings === undefined) throw new MusterError('SITE_UNKNOWN', `resource ${resource.name} has no site ${site}`);
  return parsed(siteSchema.safeParse(settings), `resource ${resource.name} at ${site}`);
}

function parsed<T>(result: z.ZodSafeParseResult<T>, what: string): T {
  if (result.success) return result.data;
  const first = result.error.issues[0];
  throw new MusterError('CONFIG_INVALID', `${what}: ${first?.path.join('.') ?? ''} ${first?.message ?? 'is wrong'}`);
}

/** Where this process reaches the database of a site. */
export function urlOf(resource: PlanResource, site: string, env: NodeJS.ProcessEnv = process.env): string {
  return resolveReference(siteConfig(resource, site).url, env);
}

/** Where a server reaches the database of a site to replicate from it, as seen by the process that starts that server. */
export function replicationUrlOf(resource: PlanResource, site: string, env: NodeJS.ProcessEnv = process.env): string {
  const config = siteConfig(resource, site);
  return resolveReference(config.replicationUrl ?? config.url, env);
}

/** Everything about the server of a site, for the agent beside it. `upstream` is the site it follows as a standby. */
export function siteServer(
  resource: PlanResource,
  site: string,
  upstream: string | null = otherSite(resource, site),
  env: NodeJS.ProcessEnv = process.env,
): SiteServer {
  const config = siteConfig(resource, site);
  const shared = sharedConfig(resource);
  const url = resolveReference(config.url, env);
  const slot = slotOf(resource, site);
  return {
    site,
    url,
    dataDir: resolveReference(config.dataDir, env),
    ...(config.binDir === undefined ? {} : { binDir: resolveReference(config.binDir, env) }),
    settings: {
      host: config.host === undefined ? addressOf(url).host : resolveReference(config.host, env),
      port: config.port === undefined ? addressOf(url).port : portOf(config.port, env),
      upstream:
        upstream === null ? null : { url: replicationUrlOf(resource, upstream, env), slot, applicationName: slot },
      ...(shared.synchronous ? { synchronousStandbyNames: '*' } : {}),
      extra: Object.fromEntries(Object.entries(shared.settings).map(([name, value]) => [name, String(value)])),
    },
    tables: shared.tables,
    synchronous: shared.synchronous,
  };
}

function portOf(value: string | number, env: NodeJS.ProcessEnv): number {
  const port = typeof value === 'number' ? value : Number(resolveReference(value, env));
  return parsed(portNumber.safeParse(port), 'port of a database');
}

function otherSite(resource: PlanResource, site: string): string | null {
  return Object.keys(resource.sites).find((name) => name !== site) ?? null;
}
