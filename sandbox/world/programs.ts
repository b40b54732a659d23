import { join } from 'node:path';
import { request } from 'undici';
import { MusterError } from '../../workflows/engine/errors.ts';
import { sites, type Place, type Site } from '../addresses.ts';
import type { ClientStats } from '../clients/history.ts';
import type { EntryState } from '../entry/proxy.ts';
import type { Second } from '../entry/traffic.ts';
import { settled } from '../processes/end.ts';
import type { Processes } from '../processes.ts';
import type { Places } from './places.ts';
import { databaseUrl, http, type Env } from './wiring.ts';

const root = join(import.meta.dirname, '..', '..');
const program = (name: string): string => join(root, ...name.split('/'));

interface Programs {
  processes: Processes;
  places: Places;
  env: Record<Place, Env>;
}
type With<Key extends keyof Programs> = Pick<Programs, Key>;

export async function startShopAt(
  { processes, places, parts }: With<'processes' | 'places'> & { parts: { storage: boolean } },
  site: Site,
): Promise<void> {
  const { host, shopPort, databasePort, storage } = places.sites[site];
  const env = {
    MUSTER_SITE: site,
    MUSTER_LISTEN: `${host}:${shopPort}`,
    MUSTER_SHOP_DATABASE_URL: databaseUrl({ host, port: databasePort }, places.secrets.shop, 'shop', 'shop'),
    ...(parts.storage && {
      MUSTER_SHOP_RECEIPTS_URLS: storage.map((port) => http({ host, port })).join(','),
      MUSTER_SHOP_RECEIPTS_USER: places.receiptsUser,
      MUSTER_SHOP_RECEIPTS_PASSWORD: places.secrets.receipts,
    }),
  };
  await processes.startProgram({ name: `shop-${site}`, script: program('sandbox/shop.ts'), env });
}

export async function startAgentAt({ processes, env }: With<'processes' | 'env'>, site: Site): Promise<void> {
  await processes.startProgram({ name: `agent-${site}`, script: program('worker/agent.ts'), env: env[site] });
}

export async function startWorker({ processes, env }: With<'processes' | 'env'>): Promise<void> {
  await processes.startProgram({ name: 'worker', script: program('worker/main.ts'), env: env.control });
}

/** The entry reaches each shop over the link to its site. */
export async function startEntryProgram({ processes, places, env }: Programs, firstRoute: Site): Promise<void> {
  const { entryPort, adminPort } = places.control;
  const host = places.host.control;
  const upstreams = sites.map((site) => ({ site, url: env.control[`MUSTER_${site.toUpperCase()}_SHOP_URL`] }));
  const entryEnv = {
    MUSTER_LISTEN: `${host}:${entryPort}`,
    MUSTER_ADMIN_LISTEN: `${host}:${adminPort}`,
    MUSTER_ENTRY_TOKEN: places.secrets.entry,
    MUSTER_ENTRY_UPSTREAMS: JSON.stringify(upstreams),
    MUSTER_ENTRY_FIRST_ROUTE: firstRoute,
    MUSTER_ENTRY_STATE: join(places.dir, 'entry.json'),
  };
  await processes.startProgram({ name: 'entry', script: program('sandbox/entry.ts'), env: entryEnv });
}

/** The entry's admin API, as a person at the control plane uses it. */
export interface EntryHandle {
  state(): Promise<EntryState>;
  series(sinceMs: number): Promise<Second[]>;
  /** Resolves when the shop at that site accepts writes. @throws MusterError SETUP_FAILED */
  untilHealthy(site: Site, withinMs: number): Promise<void>;
}

export function entryHandle({ host, control, secrets }: Places): EntryHandle {
  const admin = http({ host: host.control, port: control.adminPort });
  const get = async <T>(path: string): Promise<T> => {
    const { body } = await request(admin + path, { headers: { authorization: `Bearer ${secrets.entry}` } });
    return (await body.json()) as T;
  };
  const state = () => get<EntryState>('/admin/state');
  return {
    state,
    series: async (sinceMs) => (await get<{ series: Second[] }>(`/admin/series?since=${sinceMs}`)).series,
    async untilHealthy(site, withinMs) {
      const isHealthy = async () => (await state()).upstreams.some((u) => u.site === site && u.healthy);
      if (await settled(isHealthy, withinMs)) return;
      throw new MusterError('SETUP_FAILED', `the shop at ${site} does not accept orders`);
    },
  };
}

/** The synthetic clients, as the game day sees them. */
export interface ClientsHandle {
  /** How many there are. */
  count: number;
  truthFile: string;
  stats(sinceMs?: number): Promise<ClientStats>;
  /** Ends them when every order under way has ended, and the truth file is whole. */
  stop(): Promise<ClientStats>;
}

export async function startClientsProgram(
  { processes, places }: With<'processes' | 'places'>,
  load: { clients: number; everyMs: number },
): Promise<void> {
  const { clientsPort, entryPort } = places.control;
  const host = places.host.control;
  const env = {
    MUSTER_LISTEN: `${host}:${clientsPort}`,
    MUSTER_ENTRY_URL: http({ host, port: entryPort }),
    MUSTER_TRUTH_FILE: places.truthFile,
    MUSTER_CLIENTS: String(load.clients),
    MUSTER_CLIENT_EVERY_MS: String(load.everyMs),
  };
  await processes.startProgram({ name: 'clients', script: program('sandbox/clients.ts'), env });
}

export function clientsHandle({ host, control, truthFile }: Places, count: number): ClientsHandle {
  const url = http({ host: host.control, port: control.clientsPort });
  const call = async (method: 'GET' | 'POST', path: string): Promise<ClientStats> => {
    const { body } = await request(url + path, { method });
    return (await body.json()) as ClientStats;
  };
  return {
    count,
    truthFile,
    stats: (sinceMs = 0) => call('GET', `/stats?since=${sinceMs}`),
    stop: () => call('POST', '/stop'),
  };
}
