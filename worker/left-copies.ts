import type { Client } from '@temporalio/client';
import { siteServer } from '../activities/drivers/postgres/config.ts';
import { removeLeftScratch } from '../activities/drivers/postgres/scratch.ts';
import type { Estate } from '../runbooks/estate.ts';
import type { Log } from './log.ts';
import { activeRun } from './run-start.ts';

export interface LeftCopiesDeps {
  estate: Estate;
  /** Whose files this process has. */
  sites: readonly string[];
  client: () => Promise<Client>;
  log: Log;
}

/**
 * Removes the copies beside standbys that isolated drills left which were ended from outside: their servers would run, and
 * their files lie there, until the next drill. What belongs to a drill that runs is left alone, and everything is while
 * Temporal cannot be asked.
 * @returns their directories
 */
export async function removeLeftCopies({ estate, sites, client, log }: LeftCopiesDeps): Promise<string[]> {
  const removed: string[] = [];
  for (const { service, resource, site } of databasesAt(estate, sites)) {
    try {
      const dir = await removeLeftScratch(
        siteServer(resource, site),
        async () => (await activeRun(await client(), service))?.kind === 'drill',
      );
      if (dir === null) continue;
      removed.push(dir);
      log.warn({ service, dir }, 'removed a copy that a drill had left which was ended from outside');
    } catch (err) {
      log.warn({ service, site, err: String(err) }, 'cannot look for copies that drills have left');
    }
  }
  return removed;
}

type Database = { service: string; resource: Estate['services'][string]['resources'][number]; site: string };

function databasesAt({ services }: Estate, sites: readonly string[]): Database[] {
  return Object.values(services).flatMap(({ name: service, resources }) =>
    resources
      .filter(({ driver }) => driver === 'postgres')
      .flatMap((resource) =>
        sites.filter((site) => Object.hasOwn(resource.sites, site)).map((site) => ({ service, resource, site })),
      ),
  );
}
