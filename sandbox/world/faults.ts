import type { PlanResource } from '../../workflows/engine/plan.ts';
import type { Site } from '../addresses.ts';
import type { Links } from '../links.ts';
import { signalDatabase } from '../processes/database.ts';
import type { Processes } from '../processes.ts';
import { startSiteDatabase } from './databases.ts';
import type { Places } from './places.ts';
import { storageNames } from './storage.ts';
import type { Env } from './wiring.ts';

/** What can happen to a whole site. */
export interface SiteFaults {
  /** SIGKILL to every process of the site, and nothing gets over its links any more, in one moment. */
  killSite(site: Site): Promise<void>;
  /** SIGSTOP to every process of the site: its sockets stay open, and nothing answers. */
  freezeSite(site: Site): Promise<void>;
  /** The paused site goes on where it was. */
  thawSite(site: Site): Promise<void>;
  /**
   * Power is back at a killed site: its links work (without any fault), its database and storage start on their own as
   * they were left, then agent and shop.
   */
  bootSite(site: Site): Promise<void>;
  /** The line on which the databases replicate takes this long each way, milliseconds; 0 clears it. */
  delayReplication(ms: number): void;
}

interface FaultyWorld {
  links: Links;
  processes: Processes;
  places: Places;
  resource: PlanResource;
  env: Record<Site, Env>;
  /** Starts the nodes of a site's storage again, where it has any. */
  startStorage: (site: Site) => Promise<void>;
  /** Starts agent and shop of a site again. */
  startPrograms: (site: Site) => Promise<void>;
}

export function siteFaults(world: FaultyWorld): SiteFaults {
  const { links, processes, places } = world;
  const signalSite = (site: Site, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void => {
    signalDatabase(places.sites[site].dataDir, signal);
    for (const name of [`shop-${site}`, `agent-${site}`, ...storageNames(site)]) processes.signal(name, signal);
  };
  return {
    // The relays run in this process: within one turn of its event loop no last words get over a link.
    async killSite(site) {
      signalSite(site, 'SIGKILL');
      for (const link of links.at(site)) links.set(link, { kind: 'black-hole' });
    },
    freezeSite: async (site) => signalSite(site, 'SIGSTOP'),
    thawSite: async (site) => signalSite(site, 'SIGCONT'),
    async bootSite(site) {
      for (const link of links.at(site)) {
        links.resetConnections(link);
        links.clear(link);
      }
      await Promise.all([startSiteDatabase(world.resource, site, world.env[site]), world.startStorage(site)]);
      await world.startPrograms(site);
    },
    delayReplication: (ms) => links.set('replication', ms > 0 ? { kind: 'delay', ms } : { kind: 'clear' }),
  };
}
