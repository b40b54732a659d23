import { writeCanary } from '../activities/drivers/postgres/canary.ts';
import type { SqlClient } from '../activities/drivers/postgres/sql.ts';
import { observeLag } from '../activities/drivers/postgres/lag.ts';
import { resolveReference } from '../activities/references.ts';
import type { EstateResource, EstateService } from '../runbooks/estate.ts';
import { openDatabaseProbe, type DatabaseProbe } from './database-probe.ts';
import { every, type Repeating } from './every.ts';
import type { Sample } from './ledger/types.ts';
import { newestOf } from './service-state.ts';
import type { WatchOptions } from './watch/context.ts';

/** The control plane's own row among the marks. */
const writerId = 1;
const everyMs = 1_000;
const limitMs = 1_000;

/** Marks every writer each second with this clock, and reads how far the standby is behind. */
export function startCanaries(options: WatchOptions): Repeating {
  const marked = Object.values(options.estate.services).flatMap((service) =>
    service.resources
      .filter((r) => r.driver === 'postgres')
      .map((resource) => markResource(options, service, resource)),
  );
  return { stop: async () => void (await Promise.all(marked.map((m) => m.stop()))) };
}

function markResource(options: WatchOptions, service: EstateService, resource: EstateResource): Repeating {
  const probes: Record<string, DatabaseProbe> = {};
  for (const site of [service.primary, service.standby]) {
    const url = resource.sites[site]?.['url'];
    if (typeof url === 'string') probes[site] = openDatabaseProbe(resolveReference(url), limitMs);
  }
  const round = async (): Promise<void> => {
    const holder = newestOf(options.granter.states(), service.name)?.holder ?? service.primary;
    const other = holder === service.primary ? service.standby : service.primary;
    const primary = probes[holder];
    if (primary === undefined) return;
    await writeCanary(sqlOf(primary), writerId, Date.now()).catch(() => undefined);
    await measure(options, service.name, resource.name, {
      primary,
      standby: probes[other] ?? null,
      standbySite: other,
    });
  };
  const loop = every(everyMs, round);
  return {
    stop: async () => {
      await loop.stop();
      for (const probe of Object.values(probes)) probe.close();
    },
  };
}

interface Pair {
  primary: DatabaseProbe;
  standby: DatabaseProbe | null;
  standbySite: string;
}

/** What is unknown is taken away, so that no old figure stands for a new one. */
async function measure(
  { metrics, ledger }: WatchOptions,
  service: string,
  resource: string,
  { primary, standby, standbySite }: Pair,
): Promise<void> {
  const question = {
    primary: sqlOf(primary),
    standby: standby === null ? null : sqlOf(standby),
    applicationName: `muster_${standbySite}`,
    nowMs: () => Date.now(),
  };
  const lag = await observeLag(question);
  const labels = { service, resource };
  if (lag.canarySeconds === null) metrics.rpoLagSeconds.remove({ ...labels, method: 'canary' });
  else metrics.rpoLagSeconds.set({ ...labels, method: 'canary' }, lag.canarySeconds);
  if (lag.bytes === null) metrics.lagBytes.remove(labels);
  else metrics.lagBytes.set(labels, lag.bytes);
  metrics.unprotected.set({ service }, lag.streaming ? 0 : 1);
  const sample = (name: string, value: number | null, unit: string, method: string): Sample => {
    return {
      service,
      resource,
      name,
      value,
      unit,
      method,
      confidence: value === null ? 'unknown' : 'measured',
      site: null,
      runId: null,
      takenAtMs: Date.now(),
    };
  };
  const samples = [
    sample('lagSeconds', lag.canarySeconds, 's', 'canary'),
    sample('lagBytes', lag.bytes, 'B', 'lsn'),
    sample('lagSeconds', lag.replySeconds, 's', 'reply-age'),
  ];
  await ledger.addMeasurements(samples).catch(() => undefined);
}

/** The kept session in the shape that the driver's functions take. */
function sqlOf(probe: DatabaseProbe): SqlClient {
  return {
    query: async (text: string, values?: unknown[]) => ({ rows: await probe.query(text, values) }),
  } as SqlClient;
}
