import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { driverCatalogue } from '../activities/drivers/index.ts';
import { loadEstate } from '../runbooks/estate.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { PlanResource } from '../workflows/engine/plan.ts';
import type { Place, Site } from './addresses.ts';
import { Links } from './links.ts';
import { Processes } from './processes.ts';
import { startTemporal, type TemporalServer } from './temporal.ts';
import { createPrimary, createStandby, startLedger } from './world/databases.ts';
import { siteFaults, type SiteFaults } from './world/faults.ts';
import { choosePlaces, type Places } from './world/places.ts';
import * as programs from './world/programs.ts';
import { databaseUrl, endpointsOf, linkDefinitions, wire, type Endpoints, type Env } from './world/wiring.ts';

export interface WorldOptions {
  /** `.muster`: everything the world writes lies below it. */
  home: string;
  /** Told what has come up, and after how long. */
  onProgress?: (what: string, afterMs: number) => void;
  /** What to leave out, for tests. The worker and the agents need Temporal. */
  parts?: Partial<Record<'temporal' | 'worker' | 'agents' | 'clients', boolean>>;
  clients?: number;
  /** Time from one order of a client to its next, milliseconds. */
  everyMs?: number;
  /** Changes the sandbox's estate before anything reads it. */
  editEstate?: (yaml: string) => string;
}

/** Two sites, the control plane, the links between them, and clients. All of it ends when this process does. */
export interface World extends SiteFaults {
  home: string;
  estate: string;
  endpoints: Endpoints;
  /** What the environment of a process at each place holds, besides that of this process. */
  env: Record<Place, Env>;
  /** A site's database as somebody beside it reaches it, past every link, with the rights of the shop. Holds a secret. */
  directUrl(site: Site): string;
  /** The same with a superuser's rights, to count what is there. Holds a secret. */
  adminUrl(site: Site): string;
  dataDir(site: Site): string;
  links: Links;
  processes: Processes;
  entry: programs.EntryHandle;
  clients: programs.ClientsHandle;
  stop(): Promise<void>;
}

const primary: Site = 'hangzhou';
const standby: Site = 'beijing';
const library = join(import.meta.dirname, '..', 'runbooks', 'library', 'sandbox.yaml');
const defaultClients = 20;
const healthyMs = 30_000;
const farewellMs = 1000;

/**
 * Brings the sandbox up and resolves when clients are being served.
 * @throws MusterError SANDBOX_RUNNING when one runs under this home, SETUP_FAILED when a part does not come up
 */
export async function startWorld(options: WorldOptions): Promise<World> {
  const processes = await Processes.open(options.home);
  const links = new Links(linkDefinitions);
  let places: Places | null = null;
  try {
    places = await choosePlaces(options.home);
    return await bringUp(options, { processes, links, places });
  } catch (err) {
    await tearDown(processes, links, places);
    throw err;
  }
}

interface Base {
  processes: Processes;
  links: Links;
  places: Places;
}

async function bringUp(options: WorldOptions, base: Base): Promise<World> {
  const { processes, links, places } = base;
  const parts = { temporal: true, worker: true, agents: true, clients: true, ...options.parts };
  const resource = await writeEstate(places, options.editEstate);
  const dir = join(places.dir, 'temporal');
  await mkdir(dir, { recursive: true });
  const { home } = places;
  const clients = options.clients ?? defaultClients;
  const host = places.host.control;
  const temporal = parts.temporal ? await startTemporal({ processes, home, dir, host }) : null;
  const env = await wire(links, places, temporal);
  const startPrograms = async (site: Site) => {
    const shop = programs.startShopAt({ processes, places }, site);
    const agent = parts.agents ? programs.startAgentAt({ processes, env }, site) : null;
    await Promise.all([shop, agent]);
  };
  await startParts({ ...base, resource, env, temporal, parts, options });
  const world: World = {
    ...{ home, estate: places.estate, env, links, processes },
    endpoints: endpointsOf(places, temporal),
    ...databasesOf(places),
    entry: programs.entryHandle(places),
    clients: programs.clientsHandle(places, clients),
    ...siteFaults({ links, processes, places, resource, env, startPrograms }),
    async stop() {
      if (parts.clients) await Promise.race([world.clients.stop().catch(() => {}), sleep(farewellMs)]);
      await tearDown(processes, links, places);
    },
  };
  await writeSandboxFile(world);
  return world;
}

interface Parts extends Base {
  resource: PlanResource;
  env: Record<Place, Env>;
  temporal: TemporalServer | null;
  parts: Record<'temporal' | 'worker' | 'agents' | 'clients', boolean>;
  options: WorldOptions;
}

/** Everything side by side, each as soon as what it needs is there. */
async function startParts(world: Parts): Promise<void> {
  const { processes, places, env, temporal, parts, options } = world;
  const startedAtMs = performance.now();
  const tasks: Promise<unknown>[] = [];
  const part = <T>(what: string, started: Promise<T>): Promise<T> => {
    const told = started.then((value) => {
      options.onProgress?.(what, Math.round(performance.now() - startedAtMs));
      return value;
    });
    told.catch(() => {});
    tasks.push(told);
    return told;
  };
  const temporalUp = temporal === null ? Promise.resolve() : part('Temporal', temporal.ready);
  const databases = { ...world, guarded: parts.agents };
  const primaryUp = part(`database ${primary}`, createPrimary(databases, primary, env[primary]));
  const standbyUp = part(
    `database ${standby}`,
    primaryUp.then(() => createStandby(databases, standby, env[standby])),
  );
  const entryUp = part('entry', programs.startEntryProgram({ processes, places, env }, primary));
  const shopsUp = [primary, standby].map((site) =>
    part(`shop ${site}`, programs.startShopAt({ processes, places }, site)),
  );
  if (parts.worker) {
    const ledgerUp = part('ledger', startLedger(processes, places));
    part(
      'worker',
      Promise.all([temporalUp, ledgerUp]).then(() => programs.startWorker({ processes, env })),
    );
  }
  if (parts.agents) {
    const agent = (site: Site) => () => programs.startAgentAt({ processes, env }, site);
    part(`agent ${primary}`, Promise.all([temporalUp, primaryUp]).then(agent(primary)));
    part(`agent ${standby}`, Promise.all([temporalUp, standbyUp]).then(agent(standby)));
  }
  const serving = Promise.all([entryUp, primaryUp, ...shopsUp]);
  const served = serving.then(() => programs.entryHandle(places).untilHealthy(primary, healthyMs));
  if (parts.clients) {
    const load = { clients: options.clients ?? defaultClients, everyMs: options.everyMs ?? 100 };
    part(
      'clients',
      served.then(() => programs.startClientsProgram({ processes, places }, load)),
    );
  } else part('shop open', served);
  // All have ended before anything is torn down, so that nothing is started behind its back.
  const failed = (await Promise.allSettled(tasks)).find((task) => task.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function writeEstate(places: Places, edit: WorldOptions['editEstate']): Promise<PlanResource> {
  const yaml = await readFile(library, 'utf8');
  await writeFile(places.estate, edit?.(yaml) ?? yaml);
  const { services } = loadEstate(places.estate, driverCatalogue);
  const resource = Object.values(services)
    .flatMap((s) => s.resources)
    .find((r) => r.driver === 'postgres');
  if (resource === undefined) throw new MusterError('ESTATE_INVALID', 'the sandbox needs a service with a database');
  return resource;
}

function databasesOf({ sites, secrets }: Places): Pick<World, 'directUrl' | 'adminUrl' | 'dataDir'> {
  const at = (site: Site) => ({ host: sites[site].host, port: sites[site].databasePort });
  return {
    directUrl: (site) => databaseUrl(at(site), secrets.shop, 'shop', 'shop'),
    adminUrl: (site) => databaseUrl(at(site), secrets.database),
    dataDir: (site) => sites[site].dataDir,
  };
}

/** For the commands of another process: where things are, and the environment of one at the control plane. Holds secrets. */
async function writeSandboxFile({ home, estate, env, endpoints, processes }: World): Promise<void> {
  const file = sandboxFile(home);
  const pids = Object.fromEntries(processes.list().map(({ name, pid }) => [name, pid]));
  const text = JSON.stringify({ estate, supervisor: processes.supervisor, endpoints, pids, env: env.control }, null, 2);
  await writeFile(file, text, { mode: 0o600 });
  await chmod(file, 0o600);
}

async function tearDown(processes: Processes, links: Links, places: Places | null): Promise<void> {
  await processes.endAll();
  await links.close();
  if (places === null) return;
  await rm(sandboxFile(places.home), { force: true });
  // The next world makes its databases anew; those elsewhere would be left behind unseen.
  if (places.databasesElsewhere !== null) await rm(places.databasesElsewhere, { recursive: true, force: true });
  await rm(join(places.home, 'postgres'), { recursive: true, force: true });
}

function sandboxFile(home: string): string {
  return join(home, 'sandbox.json');
}
