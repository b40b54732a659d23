/** A site's agent as a program: the guards beside its databases, a granter for the other site, its steps, its view. */
import path from 'node:path';
import { createDrivers, driverCatalogue } from '../activities/drivers/index.ts';
import { guardedBucket } from '../activities/drivers/bucket/guarded.ts';
import { guardedPostgres } from '../activities/drivers/postgres/access.ts';
import { getState } from '../activities/guard/client.ts';
import { openGranter, type Granter } from '../activities/guard/granter-store.ts';
import type { GuardedDatabase } from '../activities/guard/database.ts';
import { startGuard, type Guard } from '../activities/guard/guard.ts';
import { startAgentServer } from '../activities/guard/server.ts';
import { loadEstate, type EstateService } from '../runbooks/estate.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { PlanResource } from '../workflows/engine/plan.ts';
import { createActivities } from './activities.ts';
import { agentAddresses, controlAddress } from './addresses.ts';
import { hostAndPort, loadAgentConfig } from './config.ts';
import { evidenceRoute } from './evidence-route.ts';
import { every } from './every.ts';
import { removeLeftCopies } from './left-copies.ts';
import { createLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import { metricsRoute } from './metrics-route.ts';
import { announceReady, onShutdown } from './ready.ts';
import { keepClient } from './schedules/kept-client.ts';
import { siteProtection } from './site-protection.ts';
import { installRuntime, keepWorking } from './temporal-worker.ts';
import { startVantage } from './vantage.ts';

/** What a guard stands beside, by driver. */
const guardedKinds = { postgres: guardedPostgres, bucket: guardedBucket };

const config = loadAgentConfig(process.env);
const site = config.MUSTER_SITE;
const log = createLog(`agent ${site}`, config.MUSTER_LOG_LEVEL);
const estate = loadEstate(config.MUSTER_ESTATE, driverCatalogue);
if (!Object.hasOwn(estate.sites, site))
  throw new MusterError('SITE_UNKNOWN', `${site} is not a site of ${estate.fileName}`);
const home = path.join(config.MUSTER_HOME, 'sites', site);
const metrics = createMetrics(site);
const others = [controlAddress(estate), ...agentAddresses(estate).filter((agent) => agent.site !== site)];
const services = Object.values(estate.services).filter((s) => s.primary === site || s.standby === site);
installRuntime(log);

const granter = openGranter({
  stateFile: path.join(home, 'granter.json'),
  site,
  services: Object.fromEntries(services.map((s) => [s.name, { leaseMs: s.policy.leaseSeconds * 1_000 }])),
});
await learnFromOthers(granter);
const guards = services.flatMap(startGuards);
const vantage = startVantage({ estate, services, site, log });
const server = await startAgentServer({
  ...hostAndPort(config.MUSTER_LISTEN),
  token: config.MUSTER_AGENT_TOKEN,
  site,
  granter,
  guards: () => guards,
  vantage: () => vantage.views(),
  extraRoutes: [metricsRoute(metrics), evidenceRoute(config.MUSTER_HOME)],
});
const drivers = createDrivers({ guardFor: (service, resource) => findGuard(service, resource) });
const more = siteProtection({ home, log });
const activities = createActivities({ drivers, log, metrics, more });
const place = { address: config.TEMPORAL_ADDRESS, namespace: config.TEMPORAL_NAMESPACE };
const worker = keepWorking(place, { taskQueue: `site-${site}`, activities, identity: `${site}/${process.pid}` }, log);
const temporal = keepClient(place);
const clearing = every(60_000, async () => {
  await removeLeftCopies({ estate, sites: [site], client: () => temporal.get(), log });
});
announceReady({ url: server.url });
onShutdown([
  () => clearing.stop(),
  () => temporal.close(),
  () => server.close(),
  () => vantage.stop(),
  () => Promise.all(guards.map((guard) => guard.stop())),
  () => worker.shutdown(),
]);

/** A site that was away may have missed a move: it asks before it answers anybody. */
async function learnFromOthers(own: Granter): Promise<void> {
  const answers = await Promise.all(others.map((other) => getState(other, { timeoutMs: 500 }).catch(() => null)));
  for (const state of answers.flatMap((answer) => answer?.granters ?? [])) own.learn(state);
}

function startGuards(service: EstateService): Guard[] {
  const guarded = service.resources.filter(
    (r) => Object.hasOwn(guardedKinds, r.driver) && Object.hasOwn(r.sites, site),
  );
  return guarded.map((resource) =>
    startGuard({
      service: service.name,
      resource: resource.name,
      site,
      leaseMs: service.policy.leaseSeconds * 1_000,
      database: guardedOf(resource, service.policy.leaseSeconds * 1_000),
      granters: others.map(({ site: name, url }) => ({ name, url })),
      token: config.MUSTER_AGENT_TOKEN,
      stateFile: path.join(home, `guard-${service.name}-${resource.name}.json`),
      onEvent: (event) => log.info({ service: service.name, resource: resource.name, ...event }, 'guard'),
    }),
  );
}

function guardedOf(resource: PlanResource, leaseMs: number): GuardedDatabase {
  const make = guardedKinds[resource.driver as keyof typeof guardedKinds];
  return make(resource, site, leaseMs);
}

function findGuard(service: string, resource: string): Guard {
  const found = guards.find((guard) => guard.service === service && guard.resource === resource);
  if (found === undefined) throw new MusterError('SERVICE_UNKNOWN', `${site} guards no ${service}/${resource}`);
  return found;
}
