import { join } from 'node:path';
import { sites, type Place, type Site } from '../addresses.ts';
import type { Endpoint, Links } from '../links.ts';
import type { Places } from './places.ts';

/** The environment of a process at a place: every address as it is reached from there. */
export type Env = Record<string, string>;

/** How one place reaches what is at another: over a link between them, or directly at home. */
type Reach = (to: Place, port: number, link?: string) => Promise<Endpoint>;

/** The sites' databases replicate over a line of their own; all else between the sites runs over the other. */
export const linkDefinitions = [
  { name: 'control-hangzhou', ends: ['control', 'hangzhou'] },
  { name: 'control-beijing', ends: ['control', 'beijing'] },
  { name: 'hangzhou-beijing', ends: ['hangzhou', 'beijing'] },
  { name: 'replication', ends: ['hangzhou', 'beijing'] },
] satisfies { name: string; ends: [Place, Place] }[];

const upper = (site: Site): string => site.toUpperCase();

/** Lays every hop between the places, and says in each place's words where everything is. */
export async function wire(
  links: Links,
  places: Places,
  temporal: { address: string; namespace: string } | null,
): Promise<Record<Place, Env>> {
  const from = (place: Place): Reach => {
    return async (to, port, link) => {
      const target = { host: places.host[to], port };
      if (to === place) return target;
      const named = link === undefined || place === 'control' ? {} : { link };
      return links.relay({ ...named, from: place, to, listen: { host: places.host[place], port: 0 }, target });
    };
  };
  const envOf = async (place: Place): Promise<Env> => {
    const reach = from(place);
    const parts = await Promise.all([
      controlEnv(places, reach),
      temporal === null ? Promise.resolve({}) : temporalEnv(place, temporal, links, places),
      ...sites.map((site) => siteEnv(site, places, reach)),
      Promise.resolve(place === 'control' ? ownControlEnv(places) : ownSiteEnv(place, places)),
    ]);
    return Object.assign({}, ...parts) as Env;
  };
  const [control, hangzhou, beijing] = await Promise.all([envOf('control'), envOf('hangzhou'), envOf('beijing')]);
  return { control, hangzhou, beijing };
}

async function controlEnv({ control, secrets, estate, receiptsUser }: Places, reach: Reach): Promise<Env> {
  const worker = await reach('control', control.workerPort);
  const admin = await reach('control', control.adminPort);
  return {
    MUSTER_ESTATE: estate,
    MUSTER_AGENT_TOKEN: secrets.agent,
    MUSTER_CONTROL_URL: http(worker),
    MUSTER_ENTRY_ADMIN_URL: http(admin),
    MUSTER_ENTRY_TOKEN: secrets.entry,
    MUSTER_RECEIPTS_USER: receiptsUser,
    MUSTER_RECEIPTS_PASSWORD: secrets.receipts,
  };
}

/** A server that is not ours may have any address: it is reached over the link all the same. */
async function temporalEnv(
  place: Place,
  { address, namespace }: { address: string; namespace: string },
  links: Links,
  places: Places,
): Promise<Env> {
  const at = address.lastIndexOf(':');
  const target = { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
  const listen = { host: places.host[place], port: 0 };
  const near = place === 'control' ? target : await links.relay({ from: place, to: 'control', listen, target });
  return { TEMPORAL_ADDRESS: `${near.host}:${near.port}`, TEMPORAL_NAMESPACE: namespace };
}

async function siteEnv(site: Site, { sites: all, secrets }: Places, reach: Reach): Promise<Env> {
  const { databasePort, shopPort, agentPort, storage } = all[site];
  const database = await reach(site, databasePort);
  const replication = await reach(site, databasePort, 'replication');
  const [shop, agent] = await Promise.all([reach(site, shopPort), reach(site, agentPort)]);
  const nodes = await Promise.all(storage.map((port) => reach(site, port)));
  return {
    [`MUSTER_${upper(site)}_AGENT_URL`]: http(agent),
    [`MUSTER_${upper(site)}_SHOP_URL`]: http(shop),
    [`MUSTER_${upper(site)}_RECEIPTS_URLS`]: nodes.map(http).join(','),
    [`MUSTER_${upper(site)}_ORDERS_URL`]: databaseUrl(database, secrets.database),
    [`MUSTER_${upper(site)}_ORDERS_REPLICATION_URL`]: databaseUrl(replication, secrets.database),
  };
}

function ownControlEnv({ home, dir, host, control, secrets }: Places): Env {
  const ledger = { host: host.control, port: control.ledgerPort };
  return {
    MUSTER_HOME: home,
    MUSTER_LISTEN: `${host.control}:${control.workerPort}`,
    MUSTER_LEDGER_URL: databaseUrl(ledger, secrets.database, 'muster'),
    // A world begins without a past, so its vault is a new one each time.
    MUSTER_VAULT: join(dir, 'vault'),
    MUSTER_VAULT_PASSWORD: secrets.vault,
  };
}

function ownSiteEnv(site: Site, { sites: all }: Places): Env {
  const { host, agentPort, databasePort, dataDir, home } = all[site];
  return {
    MUSTER_HOME: home,
    MUSTER_SITE: site,
    MUSTER_LISTEN: `${host}:${agentPort}`,
    [`MUSTER_${upper(site)}_ORDERS_DATA`]: dataDir,
    [`MUSTER_${upper(site)}_ORDERS_PORT`]: String(databasePort),
  };
}

/** Where a person finds things, by name; none of it is secret. */
export function endpointsOf(
  { host, control, sites: all }: Places,
  temporal: { address: string; uiUrl: string | null } | null,
  withStorage: boolean,
): Record<string, string> {
  const atControl = (port: number): string => http({ host: host.control, port });
  const ofSite = (site: Site): Record<string, string> => {
    const { shopPort, agentPort, databasePort, storage } = all[site];
    return {
      ...(withStorage
        ? { [`${site} storage`]: storage.map((port) => http({ host: host[site], port })).join(',') }
        : {}),
      [`${site} shop`]: http({ host: host[site], port: shopPort }),
      [`${site} agent`]: http({ host: host[site], port: agentPort }),
      [`${site} database`]: `${host[site]}:${databasePort}`,
    };
  };
  return {
    entry: atControl(control.entryPort),
    'entry admin': atControl(control.adminPort),
    clients: atControl(control.clientsPort),
    control: atControl(control.workerPort),
    ledger: `${host.control}:${control.ledgerPort}`,
    ...(temporal === null ? {} : { temporal: temporal.address }),
    ...(temporal === null || temporal.uiUrl === null ? {} : { 'temporal ui': temporal.uiUrl }),
    ...ofSite('hangzhou'),
    ...ofSite('beijing'),
  };
}

export function http({ host, port }: Endpoint): string {
  return `http://${host}:${port}`;
}

export function databaseUrl({ host, port }: Endpoint, password: string, database = 'shop', user = 'muster'): string {
  return `postgres://${user}:${password}@${host}:${port}/${database}`;
}
