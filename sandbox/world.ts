import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bucketSite, isReplicated, type BucketSite } from '../activities/drivers/bucket/config.ts';
import { driverCatalogue } from '../activities/drivers/index.ts';
import { loadEstate } from '../runbooks/estate.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { PlanResource } from '../workflows/engine/plan.ts';
import type { Place, Site } from './addresses.ts';
import { Links } from './links.ts';
import { endLeftovers, endSupervisor, Processes } from './processes.ts';
import { startTemporal, type TemporalServer } from './temporal.ts';
import { siteFaults, type SiteFaults } from './world/faults.ts';
import { choosePlaces, returnPlaces, type Places } from './world/places.ts';
import * as programs from './world/programs.ts';
import { startParts, type Blueprint, type Parts } from './world/start.ts';
import { startStorageAt } from './world/storage.ts';
import { databaseUrl, endpointsOf, linkDefinitions, wire, type Env } from './world/wiring.ts';

export interface WorldOptions {
  /** `.muster`: everything the world writes lies below it. */
  dir: string;
  /** Told what has come up, one line each. */
  onProgress?: (line: string) => void;
  /** A person declares disasters, instead of the policy. */
  ask?: boolean;
  /** Name of the game day to be played; processes at the control plane find it in MUSTER_SCENARIO. */
  scenario?: string;
  /** What to leave out, for tests. The worker and the agents need Temporal. */
  parts?: Partial<Parts>;
  /** Whatever ports are free, for tests that run side by side; else the usual ones if free, or the next free. */
  anyPorts?: boolean;
  clients?: number;
  /** Time from one order of a client to its next, milliseconds; longer by default where receipts are copied and the machine is small. */
  everyMs?: number;
  /** Changes the sandbox's estate before anything reads it. */
  editEstate?: (yaml: string) => string;
}

/** Two sites, the control plane, the links between them, and clients. All of it ends when this process does. */
export interface World extends SiteFaults {
  home: string;
  estate: string;
  /** Where a person finds things, by name. */
  endpoints: Record<string, string>;
  temporalUi: string | null;
  /** What the environment of a process at each place holds, besides that of this process. */
  env: Record<Place, Env>;
  /** A site's database as somebody beside it reaches it, past every link, with the rights of the shop. Holds a secret. */
  directUrl(site: Site): string;
  /** The same with a superuser's rights, to count what is there. Holds a secret. */
  adminUrl(site: Site): string;
  dataDir(site: Site): string;
  /** The shop's bucket as somebody beside the site's cluster reaches it. Holds a secret. */
  receiptsAt(site: Site): BucketSite;
  links: Links;
  processes: Processes;
  entry: programs.EntryHandle;
  clients: programs.ClientsHandle;
  stop(): Promise<void>;
}

const primary: Site = 'hangzhou';
const library = join(import.meta.dirname, '..', 'runbooks', 'library', 'sandbox.yaml');
const usualClients = 20;
/** From one order of a client to its next. */
const usualEveryMs = 100;
/**
 * What an order costs whose receipt is copied, milliseconds of one processor: eight nodes on one machine keep it, and the
 * mover reads and writes it once more. Measured: 81 orders a second took 1.5 processors.
 */
const copiedOrderMs = 18;
/** Of the machine's processors clients may take this share: the rest is what a disaster is mastered with. */
const clientsShare = 0.225;
const farewellMs = 1000;
const stopMs = 15_000;

/**
 * Brings the sandbox up and resolves when clients are being served.
 * @throws MusterError SANDBOX_RUNNING when one runs under this home, SETUP_FAILED when a part does not come up
 */
export async function startWorld(options: WorldOptions): Promise<World> {
  const processes = await Processes.open(options.dir);
  const links = new Links(linkDefinitions);
  let places: Places | null = null;
  try {
    places = await choosePlaces(options.dir, options.anyPorts ?? false);
    return await bringUp(options, { processes, links, places });
  } catch (err) {
    await tearDown(processes, links, places);
    throw err;
  }
}

/**
 * Ends the sandbox that runs under a home directory, from another process. What its supervisor leaves is ended too.
 * @returns whether there was anything to end
 */
export async function stopWorld(home: string): Promise<boolean> {
  const supervisor = await endSupervisor(home, stopMs);
  const leftovers = await endLeftovers(home);
  await rm(sandboxFile(home), { force: true });
  return supervisor || leftovers.length > 0;
}

interface Base {
  processes: Processes;
  links: Links;
  places: Places;
}

async function bringUp(options: WorldOptions, base: Base): Promise<World> {
  const { processes, places } = base;
  const parts: Parts = { temporal: true, worker: true, agents: true, clients: true, storage: true, ...options.parts };
  const { resource, receipts } = await writeEstate(places, options, parts.storage);
  const { clients = usualClients } = options;
  const areCopied = receipts !== null && isReplicated(receipts);
  const load = { clients, everyMs: options.everyMs ?? (areCopied ? bearableMs(clients) : usualEveryMs) };
  if (places.databasesElsewhere !== null) {
    const why = `their user cannot get into ${places.home}`;
    options.onProgress?.(`         the databases lie in ${places.databasesElsewhere}: ${why}`);
  }
  const temporal = parts.temporal ? await startTemporalIn(places, processes, options.anyPorts ?? false) : null;
  const env = await wire(base.links, places, temporal);
  if (options.scenario !== undefined) env.control['MUSTER_SCENARIO'] = options.scenario;
  const blueprint: Blueprint = { processes, places, resource, receipts, env, temporal, parts, load, primary };
  await startParts(blueprint, options.onProgress);
  const world = assemble(base, blueprint);
  await writeSandboxFile(world);
  return world;
}

/** The time between a client's orders that this machine bears: 100 ms from sixteen processors on, 800 ms with two. */
function bearableMs(clients: number): number {
  return Math.max(usualEveryMs, Math.round((clients * copiedOrderMs) / (availableParallelism() * clientsShare)));
}

async function startTemporalIn(places: Places, processes: Processes, anyPorts: boolean): Promise<TemporalServer> {
  const dir = join(places.dir, 'temporal');
  await mkdir(dir, { recursive: true });
  return startTemporal({ processes, home: places.home, dir, host: places.host.control, anyPorts });
}

function assemble(
  { links, processes, places }: Base,
  { resource, receipts, env, temporal, parts, load }: Blueprint,
): World {
  const startPrograms = async (site: Site): Promise<void> => {
    const shop = programs.startShopAt({ processes, places, parts }, site);
    const agent = parts.agents ? programs.startAgentAt({ processes, env }, site) : null;
    await Promise.all([shop, agent]);
  };
  const startStorage = async (site: Site): Promise<void> => {
    if (receipts !== null) await startStorageAt({ processes, places }, site);
  };
  const clients = programs.clientsHandle(places, load.clients);
  return {
    ...{ home: places.home, estate: places.estate, env, links, processes, clients },
    endpoints: endpointsOf(places, temporal, parts.storage),
    temporalUi: temporal?.uiUrl ?? null,
    ...databasesOf(places),
    entry: programs.entryHandle(places),
    ...siteFaults({ links, processes, places, resource, env, startStorage, startPrograms }),
    receiptsAt: (site) => {
      if (receipts === null) throw new MusterError('SETUP_FAILED', 'this world has no storage');
      return bucketSite(receipts, site, { ...process.env, ...env[site] });
    },
    async stop() {
      if (parts.clients) await Promise.race([clients.stop().catch(() => {}), sleep(farewellMs)]);
      await tearDown(processes, links, places);
    },
  };
}

async function writeEstate(
  places: Places,
  { ask = false, editEstate }: WorldOptions,
  storage: boolean,
): Promise<{ resource: PlanResource; receipts: PlanResource | null }> {
  let yaml = await readFile(library, 'utf8');
  if (!storage) yaml = withoutStorage(yaml);
  if (ask) yaml = yaml.replace('declare: automatic', 'declare: ask');
  await writeFile(places.estate, editEstate?.(yaml) ?? yaml);
  const { services } = loadEstate(places.estate, driverCatalogue);
  const resources = Object.values(services).flatMap((s) => s.resources);
  const resource = resources.find((r) => r.driver === 'postgres');
  if (resource === undefined) throw new MusterError('ESTATE_INVALID', 'the sandbox needs a service with a database');
  return { resource, receipts: resources.find((r) => r.driver === 'bucket') ?? null };
}

/** The estate of a world without storage clusters. */
function withoutStorage(yaml: string): string {
  return yaml
    .replace(/^      receipts:\n(?: {8,}.*\n)+/m, '')
    .replace(/^      - \{ resource: receipts, .*\n/m, '')
    .replace('after: [orders, receipts]', 'after: [orders]');
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
  returnPlaces(places);
  await rm(sandboxFile(places.home), { force: true });
  // The next world makes its databases anew; those elsewhere would be left behind unseen.
  if (places.databasesElsewhere !== null) await rm(places.databasesElsewhere, { recursive: true, force: true });
  await rm(join(places.home, 'postgres'), { recursive: true, force: true });
}

function sandboxFile(home: string): string {
  return join(home, 'sandbox.json');
}
