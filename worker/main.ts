/** The control plane as a program: Temporal worker, granter, watch, ledger writer, `/metrics`. */
import path from 'node:path';
import { driverCatalogue, drivers } from '../activities/drivers/index.ts';
import { protectionDir } from '../activities/drivers/bucket/replication/home.ts';
import { openGranter } from '../activities/guard/granter-store.ts';
import { startAgentServer } from '../activities/guard/server.ts';
import { loadEstate } from '../runbooks/estate.ts';
import { createActivities } from './activities.ts';
import { agentAddresses } from './addresses.ts';
import { workflowBundle } from './bundle.ts';
import { hostAndPort, loadWorkerConfig } from './config.ts';
import { watchCopies } from './copy-watch.ts';
import { watchDependencies } from './dependencies.ts';
import { syncEpochs } from './epoch-sync.ts';
import { every, type Repeating } from './every.ts';
import { evidenceRoute } from './evidence-route.ts';
import { openLedger, type Ledger } from './ledger/ledger.ts';
import { removeLeftCopies } from './left-copies.ts';
import { sealLeftRuns } from './left-runs.ts';
import { createLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import { metricsRoute } from './metrics-route.ts';
import { openPastDeclarations } from './past-declarations.ts';
import { protectionActivities } from './protection-activities.ts';
import { watchProtection } from './protection-watch.ts';
import { watchWalArchives } from './wal-archive-watch.ts';
import { announceReady, onShutdown } from './ready.ts';
import { recordBatch } from './record.ts';
import { controlQueue } from './run-start.ts';
import { startScheduleWatch } from './schedule-watch.ts';
import { newestOf } from './service-state.ts';
import { scheduleActivities } from './schedules/activities.ts';
import { keepClient } from './schedules/kept-client.ts';
import { createScheduleMetrics } from './schedules/metrics.ts';
import { startSelfChecks } from './self-check.ts';
import { connectClient, registerSearchAttributes } from './temporal.ts';
import { installRuntime, keepWorking } from './temporal-worker.ts';
import { startWatch } from './watch-loop.ts';

const syncEveryMs = 1_000;
/** What was ended from outside is cleared up. */
const clearEveryMs = 60_000;

const config = loadWorkerConfig(process.env);
const log = createLog('worker', config.MUSTER_LOG_LEVEL);
const estate = loadEstate(config.MUSTER_ESTATE, driverCatalogue);
const place = { address: config.TEMPORAL_ADDRESS, namespace: config.TEMPORAL_NAMESPACE };
const metrics = createMetrics('control');
const ledger = openLedger(config.MUSTER_LEDGER_URL);
const agents = agentAddresses(estate);
installRuntime(log);

const granter = openGranter({
  stateFile: path.join(config.MUSTER_HOME, 'control', 'granter.json'),
  site: null,
  services: Object.fromEntries(
    Object.values(estate.services).map((s) => [s.name, { leaseMs: s.policy.leaseSeconds * 1_000 }]),
  ),
});
await migrateWhenThere(ledger);
await syncEpochs({ estate, granter, agents, ledger, log });
const watch = startWatch({
  estate,
  granter,
  ledger,
  metrics,
  log,
  place,
  scenario: config.MUSTER_SCENARIO ?? null,
  declarations: openPastDeclarations(config.MUSTER_HOME),
});
const dependencies = watchDependencies(place, ledger, metrics);
const server = await startAgentServer({
  ...hostAndPort(config.MUSTER_LISTEN),
  token: config.MUSTER_AGENT_TOKEN,
  site: 'control',
  granter,
  vantage: () => watch.views(),
  extraRoutes: [metricsRoute(metrics), dependencies.route, evidenceRoute(config.MUSTER_HOME), ...watch.routes()],
});
const protection = watchProtection({
  ...{ estate, ledger, registry: metrics.registry },
  stateDir: protectionDir(config.MUSTER_HOME),
});
const syncing = every(syncEveryMs, () => syncEpochs({ estate, granter, agents, ledger, log }));
const temporal = keepClient(place);
const aim = { estate, writerOf: (service: string) => newestOf(granter.states(), service)?.holder ?? null };
const activities = createActivities({
  ...{ drivers, log, metrics },
  recordBatch: (batch) => recordBatch(ledger, batch),
  more: {
    ...protectionActivities({ home: config.MUSTER_HOME, log, ledger, aim }),
    ...scheduleActivities({ estate, ledger, client: () => temporal.get(), log, aim }),
  },
});
const codePath = await workflowBundle(path.join(config.MUSTER_HOME, 'cache'));
const client = await connectClient(place).catch(() => null);
if (client !== null) {
  await registerSearchAttributes(client, place.namespace);
  await client.connection.close();
}
const options = {
  workflowBundle: { codePath },
  taskQueue: controlQueue,
  activities,
  maxCachedWorkflows: 100,
  // What long work tells of itself is shown to people as it is now, not as it was ten seconds ago.
  maxHeartbeatThrottleInterval: '2 s' as const,
  identity: `control/${process.pid}`,
};
const schedules = startScheduleWatch({
  ...{ estate, ledger, log },
  client: () => temporal.get(),
  metrics: createScheduleMetrics(metrics.registry),
});
const walArchives = watchWalArchives({ estate, registry: metrics.registry, client: () => temporal.get() });
const copies = watchCopies({
  ...{ estate, ledger, registry: metrics.registry },
  client: () => temporal.get(),
});
// Sites without an agent have their files here.
const here = Object.values(estate.sites).flatMap(({ name, agentUrl }) => (agentUrl === null ? [name] : []));
const clearing = every(clearEveryMs, async () => {
  const clears = { client: () => temporal.get(), log };
  await sealLeftRuns({ ...clears, ledger });
  await removeLeftCopies({ ...clears, estate, sites: here });
});
const checks: Repeating[] = [];
const worker = keepWorking(place, options, log, () => {
  if (checks.length === 0) checks.push(startSelfChecks(place, metrics, log));
  announceReady({ url: server.url });
});
onShutdown([
  () => clearing.stop(),
  () => ledger.close(),
  () => temporal.close(),
  () => schedules.stop(),
  () => Promise.all(copies.map((one) => one.stop())),
  () => walArchives.stop(),
  () => server.close(),
  () => syncing.stop(),
  () => Promise.all(protection.map((one) => one.stop())),
  () => dependencies.stop(),
  () => Promise.all(checks.map((check) => check.stop())),
  () => watch.stop(),
  () => worker.shutdown(),
]);

/** A ledger that is away is not waited for: its tables are brought up to date with the first write that gets through. */
async function migrateWhenThere(to: Ledger): Promise<void> {
  try {
    await to.migrate();
  } catch (err) {
    log.warn({ err: err instanceof Error ? err.message : String(err) }, 'the ledger is away');
    const again = every(2_000, async () => {
      await to.migrate();
      await again.stop();
    });
  }
}
