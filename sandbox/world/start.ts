import { join } from 'node:path';
import { workflowBundle } from '../../worker/bundle.ts';
import { isReplicated } from '../../activities/drivers/bucket/config.ts';
import type { PlanResource } from '../../workflows/engine/plan.ts';
import { otherSite, sites, type Place, type Site } from '../addresses.ts';
import type { Processes } from '../processes.ts';
import type { TemporalServer } from '../temporal.ts';
import { createPrimary, createStandby, startLedger } from './databases.ts';
import type { Places } from './places.ts';
import * as programs from './programs.ts';
import { startReplicationOf } from './replication.ts';
import * as storage from './storage.ts';
import type { Env } from './wiring.ts';

/** What a world can do without, for tests. The worker and the agents need Temporal. */
export type Parts = Record<'temporal' | 'worker' | 'agents' | 'clients' | 'storage', boolean>;

export interface Blueprint {
  processes: Processes;
  places: Places;
  /** The database of the service, as the estate describes it. */
  resource: PlanResource;
  /** The shop's bucket; null without storage. */
  receipts: PlanResource | null;
  env: Record<Place, Env>;
  temporal: TemporalServer | null;
  parts: Parts;
  load: { clients: number; everyMs: number };
  primary: Site;
}

const healthyMs = 60_000;

/** Starts everything side by side, each part as soon as what it needs is there. Resolves when all of it is up. */
export async function startParts(world: Blueprint, onProgress?: (line: string) => void): Promise<void> {
  const startup = new Startup(onProgress);
  const { temporal, parts, primary } = world;
  const temporalUp = temporal === null ? Promise.resolve() : startup.add('Temporal', temporal.ready);
  const databasesUp = startDatabases(startup, world);
  const workerUp = parts.worker ? startWorker(startup, world, temporalUp) : null;
  const storageUp = startStorage(startup, world);
  if (workerUp !== null) startCopying(startup, world, [workerUp, ...Object.values(storageUp)]);
  const opened = parts.agents ? startAgents(startup, world, temporalUp, dataUp(databasesUp, storageUp)) : databasesUp;
  startTraffic(startup, world, opened[primary]);
  await startup.end();
}

/** An agent opens its database as soon as the site has the lease. */
function startAgents(
  startup: Startup,
  world: Blueprint,
  temporalUp: Promise<void>,
  databasesUp: Record<Site, Promise<void>>,
): Record<Site, Promise<void>> {
  const start = (site: Site): Promise<void> => {
    const ready = Promise.all([temporalUp, databasesUp[site]]);
    return startup.add(
      `agent ${site}`,
      ready.then(() => programs.startAgentAt(world, site)),
    );
  };
  return { hangzhou: start('hangzhou'), beijing: start('beijing') };
}

/** The cluster of each site, with its bucket; the standby's is fenced before any agent looks at it. */
function startStorage(startup: Startup, world: Blueprint): Record<Site, Promise<void>> {
  const { receipts, primary, env } = world;
  const start = (site: Site): Promise<void> => {
    if (receipts === null) return Promise.resolve();
    const nodesUp = storage.startStorageAt(world, site);
    const standby = site !== primary;
    return startup.add(
      `storage ${site}`,
      nodesUp.then(() => storage.prepareBucket(receipts, site, { env: env.control, standby })),
    );
  };
  return { hangzhou: start('hangzhou'), beijing: start('beijing') };
}

function dataUp(...parts: Record<Site, Promise<void>>[]): Record<Site, Promise<void>> {
  const both = (site: Site): Promise<void> => Promise.all(parts.map((part) => part[site])).then(() => undefined);
  return { hangzhou: both('hangzhou'), beijing: both('beijing') };
}

function startDatabases(startup: Startup, world: Blueprint): Record<Site, Promise<void>> {
  const { primary, env } = world;
  const standby = otherSite(primary);
  const primaryUp = startup.add(
    `database ${primary}`,
    createPrimary({ ...world, guarded: world.parts.agents }, primary, env[primary]),
  );
  const cloned = primaryUp.then(() => createStandby(world, standby, env[standby]));
  const standbyUp = startup.add(`database ${standby}`, cloned);
  return primary === 'hangzhou'
    ? { hangzhou: primaryUp, beijing: standbyUp }
    : { hangzhou: standbyUp, beijing: primaryUp };
}

function startWorker(startup: Startup, world: Blueprint, temporalUp: Promise<void>): Promise<void> {
  const ledgerUp = startup.add('ledger', startLedger(world.processes, world.places));
  // The worker would build them itself, but only once it is asked to start.
  const bundled = startup.add('workflows', workflowBundle(join(world.places.home, 'cache')));
  const ready = Promise.all([temporalUp, ledgerUp, bundled]);
  return startup.add(
    'worker',
    ready.then(() => programs.startWorker(world)),
  );
}

/** The receipts follow to the other site, where the estate wants that. */
function startCopying(startup: Startup, world: Blueprint, ready: readonly Promise<void>[]): void {
  const { receipts } = world;
  if (receipts === null || !isReplicated(receipts)) return;
  void startup.add(
    'replication',
    Promise.all(ready).then(() => startReplicationOf(world, receipts)),
  );
}

/** Entry, shops and, once the shop takes orders, clients. */
function startTraffic(startup: Startup, world: Blueprint, opened: Promise<void>): void {
  const { primary, parts, load, places } = world;
  const entryUp = startup.add('entry', programs.startEntryProgram(world, primary));
  const shopsUp = sites.map((site) => startup.add(`shop ${site}`, programs.startShopAt(world, site)));
  const open = Promise.all([entryUp, opened, ...shopsUp]).then(() => {
    return programs.entryHandle(places).untilHealthy(primary, healthyMs);
  });
  const served = startup.add('shop takes orders', open);
  if (parts.clients)
    void startup.add(
      'clients',
      served.then(() => programs.startClientsProgram(world, load)),
    );
}

/** The parts under way, told as they come up. */
class Startup {
  readonly #startedAtMs = performance.now();
  readonly #parts: Promise<unknown>[] = [];
  readonly #onProgress: ((line: string) => void) | undefined;

  constructor(onProgress: ((line: string) => void) | undefined) {
    this.#onProgress = onProgress;
  }

  add<T>(what: string, started: Promise<T>): Promise<T> {
    const told = started.then((value) => {
      const afterSeconds = (performance.now() - this.#startedAtMs) / 1000;
      this.#onProgress?.(`${afterSeconds.toFixed(1).padStart(5)} s  ${what}`);
      return value;
    });
    told.catch(() => {});
    this.#parts.push(told);
    return told;
  }

  /** Waits for all, also when one fails: nothing may be started behind the back of who then tears down. */
  async end(): Promise<void> {
    const failed = (await Promise.allSettled(this.#parts)).find((part) => part.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}
