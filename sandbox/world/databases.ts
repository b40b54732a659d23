import { setTimeout as sleep } from 'node:timers/promises';
import { cloneServer } from '../../activities/drivers/postgres/clone.ts';
import { replicationUrlOf, siteServer, slotOf, urlOf } from '../../activities/drivers/postgres/config.ts';
import { addressOf, withDatabase } from '../../activities/drivers/postgres/conninfo.ts';
import { prepareDatabase } from '../../activities/drivers/postgres/prepare.ts';
import { startServer } from '../../activities/drivers/postgres/server.ts';
import { withSql } from '../../activities/drivers/postgres/sql.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { PlanResource } from '../../workflows/engine/plan.ts';
import { otherSite, type Site } from '../addresses.ts';
import type { Processes } from '../processes.ts';
import { createOrders, createShopRole } from '../shop/schema.ts';
import type { Places } from './places.ts';
import { databaseUrl, type Env } from './wiring.ts';

const small = { sharedBuffersMb: 64 };
const streamingMs = 20_000;
const pollMs = 10;

interface DatabaseWorld {
  processes: Processes;
  places: Places;
  /** The database of the service, as the estate describes it. */
  resource: PlanResource;
}

/** The control plane's own database: an empty one, the ledger fills it. */
export async function startLedger(processes: Processes, places: Places): Promise<void> {
  const { ledgerDir: dataDir, ledgerPort: port } = places.control;
  const host = places.host.control;
  await places.makeServer(dataDir);
  processes.registerDatabase('ledger', dataDir);
  await startServer({ dataDir, settings: { host, port, ...small } });
  await createDatabase(databaseUrl({ host, port }, places.secrets.database, 'muster'));
}

/** Starts the PostgreSQL server of a site as an operating system does at boot: as it was, asking nobody. */
export async function startSiteDatabase(resource: PlanResource, site: Site, env: Env): Promise<void> {
  const { dataDir, settings, binDir } = siteServer(resource, site, otherSite(site), env);
  const bin = binDir === undefined ? {} : { binDir };
  await startServer({ dataDir, settings: { ...settings, ...small }, ...bin });
}

/** Makes the shop's database at one site. With `guarded` a write there needs the lease from now on. */
export async function createPrimary(world: DatabaseWorld & { guarded: boolean }, site: Site, env: Env): Promise<void> {
  const { processes, places, resource } = world;
  const { dataDir, url, tables } = siteServer(resource, site, otherSite(site), env);
  await places.makeServer(dataDir);
  processes.registerDatabase(`postgres-${site}`, dataDir);
  await startSiteDatabase(resource, site, env);
  await createDatabase(url);
  await withSql(url, { statementMs: 10_000 }, async (client) => {
    await client.query(createOrders);
    for (const statement of createShopRole(client.escapeLiteral(places.secrets.shop))) await client.query(statement);
    await client.query('SELECT pg_create_physical_replication_slot($1, true)', [slotOf(resource, otherSite(site))]);
  });
  if (world.guarded) await prepareDatabase(url, { tables });
}

/** Clones the other site's server over the link and starts the copy as its standby. Resolves when it streams. */
export async function createStandby(world: DatabaseWorld, site: Site, env: Env): Promise<void> {
  const { processes, places, resource } = world;
  const from = otherSite(site);
  const { dataDir } = places.sites[site];
  await cloneServer({ url: replicationUrlOf(resource, from, env), dataDir, as: 'standby' });
  processes.registerDatabase(`postgres-${site}`, dataDir);
  await startSiteDatabase(resource, site, env);
  const untilMs = performance.now() + streamingMs;
  while (!(await streams(urlOf(resource, from, env), slotOf(resource, site)))) {
    if (performance.now() > untilMs) throw new MusterError('SETUP_FAILED', `${site} does not stream from ${from}`);
    await sleep(pollMs);
  }
}

/**
 * Whether a standby streams from a server. Asked anew each time: the server's guard, which starts meanwhile, closes it
 * first and ends every session that has not logged in yet.
 */
async function streams(url: string, slot: string): Promise<boolean> {
  const query = "SELECT 1 FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'";
  try {
    return await withSql(url, {}, async (client) => (await client.query(query, [slot])).rowCount !== 0);
  } catch (err) {
    if (err instanceof MusterError && err.code === 'DATABASE_UNREACHABLE') return false;
    throw err;
  }
}

async function createDatabase(url: string): Promise<void> {
  const name = addressOf(url).database;
  await withSql(withDatabase(url, 'postgres'), { statementMs: 10_000 }, async (client) => {
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  });
}
