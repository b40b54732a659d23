import { z } from 'zod';
import type { Json, PlanResource } from '../../../workflows/engine/plan.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { resolveReference } from '../../references.ts';

const reference = /^(env|file):.+/;

/** What the estate says of an entry besides its sites. */
const shared = z.object({
  /** Base address of the entry's admin API, e.g. `http://127.0.0.1:8081`. */
  admin: z.string().min(1),
  /** Bearer token of the admin API; a reference, never the token itself. */
  token: z.string().regex(reference),
});

/** What it says of each site: where the entry reaches the application there. */
const site = z.strictObject({ upstream: z.string().min(1) });

const ownKeys = new Set(['driver', 'after', 'admin', 'token']);

export interface ProxyConfig {
  admin: string;
  token: string;
}

/** Resolves the entry's address and token as this process sees them. Throws CONFIG_INVALID or SECRET_MISSING. */
export function proxyConfig(resource: PlanResource): ProxyConfig {
  const parsed = shared.safeParse(resource.shared);
  if (!parsed.success) {
    throw new MusterError('CONFIG_INVALID', `${resource.name}: ${z.prettifyError(parsed.error)}`);
  }
  const admin = resolveReference(parsed.data.admin).replace(/\/+$/, '');
  if (!URL.canParse(admin)) throw new MusterError('CONFIG_INVALID', `${resource.name}: admin is no URL`);
  return { admin, token: resolveReference(parsed.data.token) };
}

type Problem = { path: (string | number)[]; message: string; fix: string };

/** Checks the estate's entry of one proxy. */
export function validateProxy(resource: Json, sites: readonly string[]): Problem[] {
  if (resource === null || typeof resource !== 'object' || Array.isArray(resource)) {
    return [{ path: [], message: 'is no mapping', fix: 'give it driver, admin, token and its sites' }];
  }
  const problems: Problem[] = [];
  if (typeof resource['admin'] !== 'string') {
    problems.push({
      path: ['admin'],
      message: 'the admin address is missing',
      fix: 'admin: env:MUSTER_ENTRY_ADMIN_URL',
    });
  }
  const { token } = resource;
  if (typeof token !== 'string' || !reference.test(token)) {
    const message =
      token === undefined ? 'the token is missing' : 'the token must be a reference, never the token itself';
    problems.push({ path: ['token'], message, fix: 'token: env:MUSTER_ENTRY_TOKEN' });
  }
  for (const name of sites) {
    const parsed = site.safeParse(resource[name]);
    if (parsed.success) continue;
    const fix = `${name}: { upstream: http://... }`;
    problems.push({ path: [name], message: `the upstream at ${name} is missing or not alone`, fix });
  }
  for (const key of Object.keys(resource)) {
    if (ownKeys.has(key) || sites.includes(key)) continue;
    const fix = `use admin, token, after or a site: ${sites.join(', ')}`;
    problems.push({ path: [key], message: 'is no setting of a proxy', fix });
  }
  return problems;
}
