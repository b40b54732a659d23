import { type Server } from 'node:http';
import { createAdmin } from './admin/admin.ts';
import { createMetrics } from './admin/metrics.ts';
import { openCluster } from './cluster.ts';
import { type NodeConfig } from './config.ts';
import { createHealer, type Healer } from './heal/healer.ts';
import { createThrottle } from './heal/throttle.ts';
import { rootCredentials } from './http/credentials.ts';
import { ossOperations } from './http/oss/index.ts';
import { s3Operations } from './http/s3/index.ts';
import { createFrontDoor } from './http/server.ts';
import { type Log } from './log.ts';
import { createClusterLayer } from './object/cluster-layer.ts';
import { dataOf, headOf } from './object/state-codec.ts';
import { type NodeName } from './rpc/handshake.ts';
import { type IdentitySource, type Security } from './rpc/identity.ts';
import { followIdentity } from './rpc/identity-files.ts';
import { type ControlHandler } from './rpc/server-options.ts';
import { createRpcServer } from './rpc/server.ts';
import { createSiteFence } from './site-fence.ts';
import { takePlace } from './store/place.ts';
import { type ErasureSet } from './store/set.ts';
import { systemEnv } from './system-env.ts';
import { rpcPortOffset } from './topology/topology.ts';

export interface RunningNode {
  id: string;
  /** Address clients use. */
  endpoint: string;
  /** Finishes what is under way, at most `graceMs`, and ends. */
  stop(graceMs?: number): Promise<void>;
}

const recountEveryMs = 60 * 60 * 1000;
const houseEveryMs = 30_000;
const compactEveryMs = 5_000;
/** A drive whose compaction fails is told of no oftener. */
const compactTellMs = 60_000;
const uploadsKeptMs = 7 * 24 * 60 * 60 * 1000;

/** Brings a node up: its drives, the way to the others', healing, and the doors for nodes and for clients. */
export async function startNode(config: NodeConfig, log: Log): Promise<RunningNode> {
  const { self, topology } = config;
  const network = networkOf(config, log);
  const cluster = await openCluster(config, network);
  const { kernels, ballots, sets } = cluster;
  const fence = createSiteFence({
    ...{ env: systemEnv, sets, own: [...cluster.ownDrives.values()] },
    announce: () => {
      for (const peer of cluster.peers.values())
        peer.control('site-changed', '', { deadlineMs: 1_000 }).catch(() => {});
    },
  });
  let healer: Healer | undefined;
  const layer = createClusterLayer({
    ...{ env: systemEnv, kernels, ballots, sets },
    siteEpoch: fence.epoch,
    epochPassed: () => void fence.refresh().catch(() => {}),
    lagging: (set, key) => healer?.lagging(set, key),
    damaged: (set, key) => healer?.damaged(set, key),
    announceBucket: (name) => {
      for (const peer of cluster.peers.values())
        peer.control('bucket-changed', name, { deadlineMs: 1_000 }).catch(() => {});
    },
  });
  healer = createHealer(
    {
      ...{ env: systemEnv, kernels, ballots, registers: layer.registers, values: { dataOf, headOf } },
      deadlineMs: 10_000,
      throttle: createThrottle(systemEnv.clock, config.healBytesPerSecond),
    },
    {
      ...{ sets, recountEveryMs, scrubEveryMs: config.scrubEveryHours * 60 * 60 * 1000 },
      inCharge: (set) => set.drives.find(({ health }) => !health.suspect)?.local === true,
    },
  );
  const controls = new Map<string, ControlHandler>([
    ['bucket-changed', (name) => layer.buckets.invalidate(String(name))],
    ['site-changed', () => void fence.refresh().catch(() => {})],
  ]);
  const rpc = createRpcServer({
    ...{ ...network, drives: cluster.ownDrives, controls, clock: systemEnv.clock },
    take: (size) => takePlace(kernels.arena, size),
    refused: (reason, from) => log.warn({ reason, from }, 'a peer was turned away'),
  });
  const metrics = createMetrics({ drives: cluster.ownDrives, sets, kernels, healer });
  const credentials = rootCredentials(config.rootUser, config.rootPassword);
  const front = createFrontDoor({
    operations: [...s3Operations, ...ossOperations],
    layer,
    credentials,
    settings: { region: config.region, owner: config.rootUser, host: self.id },
    domains: config.domains,
    admin: createAdmin({
      ...{ topology, self: self.id, sets, layer, fence, healer, metrics },
      gate: { credentials, region: config.region, nowMs: Date.now },
    }),
    observe: metrics.request,
    fault: (error, requestId) => log.error({ err: error, requestId }, 'a request failed for a fault of ours'),
  });
  const server = front.server(config.tls);
  await rpc.listen(config.bindHost, self.port + rpcPortOffset);
  await listen(server, config.bindHost, self.port);
  await fence.refresh().catch((error: unknown) => log.warn({ err: error }, 'the site epoch is not known yet'));
  const house = keepHouse({ cluster, layer, healer, fence, log, sets });
  const endpoint = `${config.tls === undefined ? 'http' : 'https'}://${self.host}:${self.port}`;
  log.info({ endpoint, sets: sets.length, drives: self.drives.length }, 'the node is up');
  return {
    id: self.id,
    endpoint,
    async stop(graceMs = 10_000) {
      house.stop();
      server.close();
      server.closeIdleConnections();
      const hard = setTimeout(() => server.closeAllConnections(), graceMs);
      await new Promise((resolve) => (server.listening ? server.once('close', resolve) : resolve(undefined)));
      clearTimeout(hard);
      await healer?.stop();
      await rpc.close(Math.min(graceMs, 2_000));
      await cluster.close();
      if (network.follow !== undefined) network.follow.close();
    },
  };
}

function networkOf(
  config: NodeConfig,
  log: Log,
): { name: NodeName; security: Security; follow: (IdentitySource & { close(): void }) | undefined } {
  const name = { clusterId: config.clusterId, nodeId: config.self.id };
  if (config.plainRpc || config.certsDir === undefined) {
    if (config.plainRpc)
      log.warn({}, 'nodes speak to each other WITHOUT encryption: for measuring on one machine only');
    return { name, security: { kind: 'plain' }, follow: undefined };
  }
  const failed = (cause: Error): void =>
    log.error({ err: cause }, 'the certificates cannot be used; the old ones stay');
  const follow = followIdentity(config.certsDir, { clock: systemEnv.clock, everyMs: 10_000, failed });
  return { name: follow.current().name, security: { kind: 'tls', identity: follow }, follow };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** What has to be done from time to time: compaction, old uploads, sets whose drives came back, the site's epoch. */
function keepHouse(parts: {
  cluster: Awaited<ReturnType<typeof openCluster>>;
  layer: ReturnType<typeof createClusterLayer>;
  healer: Healer;
  fence: ReturnType<typeof createSiteFence>;
  log: Log;
  sets: readonly ErasureSet[];
}): { stop: () => void } {
  const { cluster, layer, healer, fence, log, sets } = parts;
  const away = new Set<ErasureSet>(sets.filter(({ index }) => cluster.freshSets.has(index)));
  const watch = setInterval(() => {
    for (const set of sets) {
      if (set.drives.some(({ health }) => health.suspect)) away.add(set);
      else if (away.delete(set)) healer.driveReturned(set);
    }
  }, 1_000);
  /** Does it every so often, but never twice at once. */
  const every = (ms: number, work: () => Promise<void>): NodeJS.Timeout => {
    let busy = false;
    return setInterval(() => {
      if (busy) return;
      busy = true;
      work()
        .catch((error: unknown) => log.warn({ err: error }, 'housekeeping did not get through'))
        .finally(() => {
          busy = false;
        });
    }, ms);
  };
  const toldMs = new Map<number, number>();
  const compact = async (): Promise<void> => {
    for (const [drive, store] of cluster.ownDrives) {
      try {
        while ((await store.compactOnce()) > 0);
      } catch (err) {
        // The others go on: a full drive is no reason for them to fill up too.
        if (performance.now() - (toldMs.get(drive) ?? -Infinity) < compactTellMs) continue;
        toldMs.set(drive, performance.now());
        log.warn({ err, drive }, 'compaction did not get through');
      }
    }
  };
  const tidy = async (): Promise<void> => {
    await fence.refresh();
    if (sets[0]?.drives.find(({ health }) => !health.suspect)?.local !== true) return;
    for (const bucket of await layer.listBuckets()) await layer.uploads.sweep(bucket, uploadsKeptMs);
  };
  const timers = [watch, every(houseEveryMs, tidy), every(compactEveryMs, compact)];
  return {
    stop() {
      for (const timer of timers) clearInterval(timer);
    },
  };
}
