import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { guardedDatabase } from '../../activities/drivers/postgres/access.ts';
import { findPostgres } from '../../activities/drivers/postgres/binaries.ts';
import { cloneServer } from '../../activities/drivers/postgres/clone.ts';
import { replicationUrlOf, siteServer, slotOf, urlOf } from '../../activities/drivers/postgres/config.ts';
import { initServer } from '../../activities/drivers/postgres/init.ts';
import { makeOwnedDir, usableDataHome } from '../../activities/drivers/postgres/owner.ts';
import { prepareDatabase } from '../../activities/drivers/postgres/prepare.ts';
import { signalProcess, serverProcesses } from '../../activities/drivers/postgres/process.ts';
import { configDir } from '../../activities/drivers/postgres/settings.ts';
import { killServer, startServer } from '../../activities/drivers/postgres/server.ts';
import { createPostgresDriver } from '../../activities/drivers/postgres/driver.ts';
import { ensureSlot } from '../../activities/drivers/postgres/slots.ts';
import { withSql, type SqlClient } from '../../activities/drivers/postgres/sql.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../activities/driver.ts';
import type { JsonObject, Mode, PlanResource, RunKind, Verb } from '../../workflows/engine/plan.ts';
import { freePort } from '../../sandbox/ports.ts';
import { untilNextLookMs } from '../support/eventually.ts';
import { makeFromTemplate } from '../support/server-template.ts';
import type { FakeAgent } from './fake-agent.ts';

/** Two sites with a PostgreSQL each, an application role, and nobody around them but fake granters. */
export async function startWorld(options: {
  schema: string;
  tables: string[] | '*';
  binDir?: string;
  synchronous?: boolean;
  /** With a system identifier of its own; servers are else copies of one template. */
  anotherSystem?: boolean;
}) {
  const root = mkdtempSync(path.join(usableDataHome(tmpdir()), 'muster-pg-'));
  chmodSync(root, 0o711);
  const home = path.join(root, 'home');
  const password = 's3cret-9c41f0b7';
  const env: Record<string, string> = {};
  const resource: PlanResource = {
    name: 'orders',
    driver: 'postgres',
    sites: {},
    shared: {
      tables: options.tables,
      synchronous: options.synchronous ?? false,
      settings: { shared_buffers: '16MB', max_connections: 40 },
    },
  };
  for (const site of ['hangzhou', 'beijing']) {
    const port = await freePort('127.0.0.1', 23_000 + Math.floor(Math.random() * 2_000));
    const key = `TEST_${path.basename(root).replace(/\W/g, '_')}_${site.toUpperCase()}`.toUpperCase();
    process.env[`${key}_URL`] = `postgres://muster:${password}@127.0.0.1:${port}/postgres`;
    env[site] = `env:${key}_URL`;
    resource.sites[site] = {
      url: `env:${key}_URL`,
      dataDir: path.join(root, site, 'data'),
      ...(options.binDir === undefined ? {} : { binDir: options.binDir }),
    };
    await makeOwnedDir(path.join(root, site));
  }
  const serverOf = (site: string) => siteServer(resource, site);
  const url = (site: string): string => urlOf(resource, site);
  const appUrl = (site: string): string => url(site).replace(`muster:${password}`, 'shop:shop');
  const start = async (site: string, closed = true) => {
    const { dataDir, settings, binDir } = serverOf(site);
    return startServer({ dataDir, settings, closed, ...(binDir === undefined ? {} : { binDir }) });
  };

  const primary = serverOf('hangzhou');
  await makeServer(primary.dataDir, password, options);
  await start('hangzhou');
  await withSql(url('hangzhou'), { statementMs: 10_000 }, async (client) => {
    await client.query(
      `CREATE ROLE shop LOGIN PASSWORD 'shop'; ${options.schema}; GRANT ALL ON ALL TABLES IN SCHEMA public TO shop`,
    );
  });
  await prepareDatabase(url('hangzhou'), { tables: options.tables });

  const access = { hangzhou: guardedDatabase(primary, 2_000), beijing: guardedDatabase(serverOf('beijing'), 2_000) };
  const addStandby = async (): Promise<void> => {
    await withSql(url('hangzhou'), {}, (client) => ensureSlot(client, slotOf(resource, 'beijing')));
    await cloneServer({
      url: replicationUrlOf(resource, 'hangzhou'),
      dataDir: serverOf('beijing').dataDir,
      as: 'standby',
    });
    await start('beijing');
  };
  const stop = async (): Promise<void> => {
    for (const one of Object.values(access)) one.end();
    for (const site of ['hangzhou', 'beijing']) {
      await killServer(serverOf(site).dataDir);
      await killServer(`${serverOf(site).dataDir}.scratch`);
    }
    rmSync(root, { recursive: true, force: true });
  };
  return { root, home, password, resource, serverOf, url, appUrl, start, access, addStandby, stop };
}
const initSource = path.join(import.meta.dirname, '../../activities/drivers/postgres/init.ts');

async function makeServer(
  dataDir: string,
  password: string,
  { binDir, anotherSystem = false }: { binDir?: string; anotherSystem?: boolean },
): Promise<void> {
  const make = (): Promise<void> =>
    initServer({ dataDir, superuser: 'muster', password, ...(binDir !== undefined && { binDir }) });
  if (anotherSystem) return make();
  const { initdb } = await findPostgres(binDir);
  const recipe = { binDir: path.dirname(initdb), variant: 'drivers', sources: [initSource, import.meta.filename] };
  await makeOwnedDir(configDir(dataDir));
  return makeFromTemplate(recipe, dataDir, make);
}

export type World = Awaited<ReturnType<typeof startWorld>>;

/** Signals every process of a site's server. */
export function signalSite(world: World, site: string, signal: NodeJS.Signals): void {
  const pids = serverProcesses(world.serverOf(site).dataDir);
  for (const pid of signal === 'SIGCONT' ? pids.toReversed() : pids) signalProcess(pid, signal);
}

export async function rowsOf<Row extends object>(url: string, text: string, values: unknown[] = []): Promise<Row[]> {
  return withSql(
    url,
    { role: 'client', statementMs: 10_000 },
    async (client: SqlClient) => (await client.query<Row>(text, values)).rows,
  );
}

/** Resolves when the question gives true; fails the test after a generous while. */
export async function eventually(what: string, isSo: () => Promise<boolean>, limitMs = 60_000): Promise<void> {
  const beganAt = performance.now();
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > beganAt + limitMs) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, untilNextLookMs(performance.now() - beganAt)));
  }
}

export interface RunOptions {
  kind?: RunKind;
  mode?: Mode;
  from?: string;
  to?: string;
  epoch?: number;
  leaseMs?: number;
  rpoSeconds?: number;
}

/** Performs the driver's verbs as a shell would: one plan, evidence carried on, the same token for every attempt of a step. */
export function startRun(
  world: World,
  agents: { control: FakeAgent; hangzhou: FakeAgent | null; beijing: FakeAgent | null },
  options: RunOptions = {},
) {
  const runId = `run-${randomBytes(4).toString('hex')}`;
  const epoch = options.epoch ?? 2;
  const plan: VerbInput['plan'] = {
    version: 1,
    kind: options.kind ?? 'failover',
    service: 'shop',
    from: options.from ?? 'hangzhou',
    to: options.to ?? 'beijing',
    mode: options.mode ?? 'ungraceful',
    epoch,
    drill: false,
    leaseMs: options.leaseMs ?? 1_000,
    objectives: { rpoSeconds: options.rpoSeconds ?? 5, rtoSeconds: 30 },
    level: null,
    sites: {
      hangzhou: { name: 'hangzhou', agentUrl: agents.hangzhou?.url ?? 'http://127.0.0.1:9', region: null },
      beijing: { name: 'beijing', agentUrl: agents.beijing?.url ?? 'http://127.0.0.1:9', region: null },
    },
    resources: [world.resource],
    hash: '',
  };
  const evidence: Record<string, JsonObject> = {};
  const clocks: VerbInput['clocks'] = {};
  const driver = createPostgresDriver({
    control: () => ({ site: 'control', url: agents.control.url, token: 'token' }),
    token: () => 'token',
    home: () => world.home,
    guardFor: (_service, _resource) => ({
      // Stands for the guard: it opens once a granter has named this site for the epoch.
      openNow: async (wanted) => {
        const { holder, epoch: named } = agents.control.granter;
        if (named !== wanted || (holder !== 'hangzhou' && holder !== 'beijing'))
          throw new Error(`not named for ${wanted}`);
        await world.access[holder].open({ epoch: wanted, remainingMs: 600_000 });
      },
    }),
  });
  const call = async (
    op: 'perform' | 'confirm',
    verb: Verb,
    args: JsonObject,
    extra: { timeoutMs?: number; stepId?: string },
  ): Promise<PerformOutcome> => {
    const stepId = extra.stepId ?? `${verb}-orders`;
    const handler = driver.verbs[verb];
    const input: VerbInput = {
      runId,
      stepId,
      verb,
      resource: world.resource,
      plan,
      clocks,
      args,
      evidence,
      token: `muster-${runId}-${stepId}`,
      attempt: 1,
      timeoutMs: extra.timeoutMs ?? 10_000,
    };
    const context: VerbContext = {
      signal: AbortSignal.timeout(input.timeoutMs + 20_000),
      heartbeat: () => undefined,
      log: () => undefined,
    };
    const work =
      op === 'perform' ? handler?.perform(input, context) : (handler?.confirm ?? handler?.perform)?.(input, context);
    const outcome = await work;
    if (outcome === undefined) throw new Error(`no verb ${verb}`);
    if (op === 'perform' && outcome.status === 'done') evidence[stepId] = outcome.evidence;
    return outcome;
  };
  return {
    runId,
    plan,
    clocks,
    evidence,
    perform: (verb: Verb, args: JsonObject = {}, extra = {}) => call('perform', verb, args, extra),
    confirm: (verb: Verb, args: JsonObject = {}, extra = {}) => call('confirm', verb, args, extra),
  };
}

/** The outcome's evidence; fails with the reason when it is not done. */
export function doneWith(outcome: PerformOutcome): JsonObject {
  if (outcome.status !== 'done') throw new Error(`${outcome.status}: ${outcome.why}`);
  return outcome.evidence;
}

/** A text of the evidence; fails when there is none. */
export function textOf(evidence: JsonObject | undefined, key: string): string {
  const value = evidence?.[key];
  if (typeof value !== 'string') throw new Error(`${key} is no text: ${JSON.stringify(value)}`);
  return value;
}
