import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { objectCall, setSite } from '../../../activities/drivers/bucket/cluster.ts';
import { bucketSite } from '../../../activities/drivers/bucket/config.ts';
import { guardedBucket } from '../../../activities/drivers/bucket/guarded.ts';
import { openObjects } from '../../../activities/objects/open.ts';
import type { ObjectClient } from '../../../activities/objects/types.ts';
import { Links, type Fault } from '../../../sandbox/links.ts';
import type { JsonObject, PlanResource } from '../../../workflows/engine/plan.ts';
import { account, startCluster, type TestCluster } from '../../storage/support/dev-cluster.ts';

export type SiteName = 'hangzhou' | 'beijing';
const names = ['hangzhou', 'beijing'] as const;
const limit = { timeoutMs: 5_000 };

/** Two clusters with the same bucket, one of them the writer; whoever replicates reaches them over links that can be cut. */
export interface BucketPair extends AsyncDisposable {
  /** As the replication reaches it: over the links. */
  resource: PlanResource;
  clusters: Record<SiteName, TestCluster>;
  /** A directory that is removed at the end. */
  dir: string;
  /** As a client beside the cluster writes and reads. */
  at(site: SiteName): ObjectClient;
  /** The site writes under an epoch; the other one, where it has an older one, is fenced. */
  openAt(site: SiteName, epoch: number): Promise<void>;
  fence(site: SiteName, epoch: number): Promise<void>;
  link(site: SiteName, fault: Fault): void;
  contents(site: SiteName): Promise<Record<string, string>>;
  guard(site: SiteName): ReturnType<typeof guardedBucket>;
}

export async function startBucketPair(settings: JsonObject = {}): Promise<BucketPair> {
  process.env['TEST_RECEIPTS_USER'] = account.user;
  process.env['TEST_RECEIPTS_PASSWORD'] = account.password;
  const [hangzhou, beijing] = await Promise.all([startCluster(), startCluster()]);
  const clusters = { hangzhou, beijing };
  const links = new Links(names.map((site) => ({ name: site, ends: ['control', site] })));
  const direct = resourceOf({ hangzhou: hangzhou.cluster.endpoints, beijing: beijing.cluster.endpoints }, settings);
  const resource = resourceOf(
    { hangzhou: await relayed(links, 'hangzhou', clusters), beijing: await relayed(links, 'beijing', clusters) },
    settings,
  );
  const clients = { hangzhou: clientOf(hangzhou), beijing: clientOf(beijing) };
  for (const site of names) {
    const made = await objectCall(bucketSite(direct, site), { method: 'PUT', key: '' }, limit);
    if (made.status !== 200) throw new Error(made.text);
  }
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-replicate-'));
  return {
    ...{ resource, clusters, dir },
    at: (site) => clients[site],
    async openAt(site, epoch) {
      await guardedBucket(direct, site).open({ epoch, remainingMs: 300_000 });
    },
    fence: (site, epoch) => setSite(bucketSite(direct, site), { epoch, fenced: true }, limit),
    link: (site, fault) => links.set(site, fault),
    contents: (site) => contentsOf(clients[site]),
    guard: (site) => guardedBucket(direct, site),
    async [Symbol.asyncDispose]() {
      await Promise.all(names.map((site) => clients[site][Symbol.asyncDispose]()));
      await links.close();
      await Promise.all(names.map((site) => clusters[site][Symbol.asyncDispose]()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function resourceOf(endpoints: Record<SiteName, readonly string[]>, settings: JsonObject): PlanResource {
  const keys = { accessKey: 'env:TEST_RECEIPTS_USER', secretKey: 'env:TEST_RECEIPTS_PASSWORD' };
  return {
    ...{ name: 'receipts', driver: 'bucket', shared: { bucket: 'receipts', replication: 'async', ...settings } },
    sites: {
      hangzhou: { endpoints: endpoints.hangzhou.join(','), ...keys },
      beijing: { endpoints: endpoints.beijing.join(','), ...keys },
    },
  };
}

async function relayed(links: Links, site: SiteName, clusters: Record<SiteName, TestCluster>): Promise<string[]> {
  return Promise.all(
    clusters[site].cluster.endpoints.map(async (endpoint) => {
      const { hostname: host, port } = new URL(endpoint);
      const hop = { from: 'control', to: site, listen: { host: '127.0.0.1', port: 0 } };
      const near = await links.relay({ ...hop, target: { host, port: Number(port) } });
      return `http://${near.host}:${near.port}`;
    }),
  );
}

function clientOf({ cluster }: TestCluster): ObjectClient {
  return openObjects({
    ...{ dialect: 's3', bucket: 'receipts', prefix: '', region: 'us-east-1', addressing: 'path' },
    endpoint: cluster.endpoints[0]!,
    credentials: {
      kind: 'fixed',
      credentials: { accessKeyId: account.user, secretAccessKey: account.password },
    },
  });
}

/** What clients wrote, without what Muster keeps for itself. */
async function contentsOf(client: ObjectClient): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { key } of (await client.list()).objects) {
    if (!key.startsWith('.muster/')) found[key] = (await client.getBytes(key)).bytes.toString();
  }
  return found;
}

/** Waits until an assertion holds; its own words when it never does. */
export async function settles(assertion: () => void | Promise<void>, limitMs = 20_000): Promise<void> {
  const giveUpAtMs = performance.now() + limitMs;
  for (;;) {
    try {
      return await assertion();
    } catch (err) {
      if (performance.now() > giveUpAtMs) throw err;
    }
    await sleep(20);
  }
}
