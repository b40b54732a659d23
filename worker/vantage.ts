import type { VantageView } from '../activities/guard/protocol.ts';
import { resolveReference } from '../activities/references.ts';
import type { Estate, EstateService } from '../runbooks/estate.ts';
import { openDatabaseProbe, type DatabaseProbe } from './database-probe.ts';
import type { Log } from './log.ts';
import { startProber, type Prober } from './watch/prober.ts';

/** What one place sees of the databases at the other sites. */
export interface Vantage {
  views(): VantageView[];
  stop(): Promise<void>;
}

export interface VantageOptions {
  estate: Estate;
  services: readonly EstateService[];
  /** Name of the place that looks: a site, or `control`. */
  site: string;
  log: Log;
}

/** A look may take as long as two rounds, but never less than this: a busy machine is not a dead one. */
const shortestLimitMs = 400;

interface Sight {
  service: string;
  site: string;
  probe: DatabaseProbe;
  prober: Prober;
}

/** Looks at every database of the services that is not at its own site. A service is down at a site when any of its databases is. */
export function startVantage({ services, site: from, log }: VantageOptions): Vantage {
  const sights = services.flatMap((service) =>
    [service.primary, service.standby]
      .filter((site) => site !== from)
      .flatMap((site) => sightsOf(service, site, from, log)),
  );
  return {
    views: () => sights.map(({ service, site, prober }) => ({ from, service, site, ...prober.view() })),
    stop: async () => {
      for (const { probe, prober } of sights) {
        prober.stop();
        probe.close();
      }
    },
  };
}

function sightsOf(service: EstateService, site: string, from: string, log: Log): Sight[] {
  const everyMs = service.policy.probeSeconds * 1_000;
  const limitMs = Math.max(everyMs * 2, shortestLimitMs);
  return service.resources.flatMap((resource) => {
    const url = resource.driver === 'postgres' ? resource.sites[site]?.['url'] : undefined;
    if (typeof url !== 'string') return [];
    const probe = openDatabaseProbe(resolveReference(url), limitMs);
    const onChange = (view: { up: boolean; why: string }): void => {
      log.info({ service: service.name, site, from, ...view }, view.up ? 'seen again' : 'not seen');
    };
    const prober = startProber({ everyMs, limitMs, look: (signal) => probe.look(signal), onChange });
    return [{ service: service.name, site, probe, prober }];
  });
}
