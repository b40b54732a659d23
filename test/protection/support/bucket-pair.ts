import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setSite } from '../../../activities/drivers/bucket/cluster.ts';
import { bucketSite } from '../../../activities/drivers/bucket/config.ts';
import { guardedBucket } from '../../../activities/drivers/bucket/guarded.ts';
import { openObjects } from '../../../activities/objects/open.ts';
import type { ObjectClient } from '../../../activities/objects/types.ts';
import { Links, type Fault } from '../../../sandbox/links.ts';
import type { JsonObject, PlanResource } from '../../../workflows/engine/plan.ts';
import { settles as settlesWithin } from '../../support/settles.ts';
import { account, startCluster, type TestCluster } from '../../storage/support/dev-cluster.ts';

export type SiteName = 'hangzhou' | 'beijing';
const names = ['hangzhou', 'beijing'] as const;
const limit = { timeoutMs: 30_000 };

/** Two clusters; whoever replicates reaches them over links that can be cut. */
export interface BucketPair extends AsyncDisposable {
  clusters: Record<SiteName, TestCluster>;
  /** A directory that is removed at the end. */
  dir: string;
  /** A bucket of its own at both sites, hangzhou the writer under a new epoch and beijing fenced. */
  begin(settings?: JsonObject): Promise<Bucket>;
  openAt(site: SiteName, epoch: number): Promise<void>;
  fence(site: SiteName, epoch: number): Promise<void>;
  link(site: SiteName, fault: Fault): void;
}

export interface Bucket {
  /** As the replication reaches it: over the links. */
  resource: PlanResource;
  /** The same past the links. */
  direct: PlanResource;
  epoch: number;
  /** The control plane's own. */
  home: string;
  /** As a client beside the cluster writes and reads. */
  at(site: SiteName): ObjectClient;
  contents(site: SiteName): Promise<Record<string, string>>;
}

export async function startBucketPair(): Promise<BucketPair> {
  process.env['TEST_RECEIPTS_USER'] = account.user;
  process.env['TEST_RECEIPTS_PASSWORD'] = account.password;
  const [hangzhou, beijing] = await Promise.all([startCluster(), startCluster()]);
  const clusters = { hangzhou, beijing };
  const links = new Links(names.map((site) => ({ name: site, ends: ['control', site] })));
  const near = { hangzhou: hangzhou.cluster.endpoints, beijing: beijing.cluster.endpoints };
  const far = {
    hangzhou: await relayed(links, 'hangzhou', clusters),
    beijing: await relayed(links, 'beijing', clusters),
  };
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-replicate-'));
  const opened: ObjectClient[] = [];
  let epoch = 0;
  const any = resourceOf(near, 'any', {});
  const fence = (site: SiteName, at: number): Promise<void> =>
    setSite(bucketSite(any, site), { epoch: at, fenced: true }, limit);
  const link = (site: SiteName, fault: Fault): void => {
    if (fault.kind === 'clear') links.resetConnections(site);
    links.set(site, fault);
  };
  const openAt = async (site: SiteName, at: number): Promise<void> => {
    await setSite(bucketSite(any, site), { epoch: at, fenced: false }, limit);
    await guardedBucket(any, site).open({ epoch: at, remainingMs: 300_000 });
  };
  return {
    ...{ clusters, dir, fence, openAt, link },
    async begin(settings = {}) {
      epoch += 10;
      const bucket = `receipts-${epoch}`;
      const clients = { hangzhou: clientOf(hangzhou, bucket), beijing: clientOf(beijing, bucket) };
      opened.push(...Object.values(clients));
      for (const site of names) {
        links.set(site, { kind: 'clear' });
        await openAt(site, epoch);
        await clients[site].createBucket();
      }
      await fence('beijing', epoch + 1);
      await openAt('hangzhou', epoch + 1);
      const [resource, direct] = [resourceOf(far, bucket, settings), resourceOf(near, bucket, settings)];
      const own = { resource, direct, epoch: epoch + 1, home: path.join(dir, bucket) };
      return { ...own, at: (site) => clients[site], contents: (site) => contentsOf(clients[site]) };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((client) => client[Symbol.asyncDispose]()));
      await links.close();
      await Promise.all(names.map((site) => clusters[site][Symbol.asyncDispose]()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function resourceOf(
  endpoints: Record<SiteName, readonly string[]>,
  bucket: string,
  settings: JsonObject,
): PlanResource {
  const keys = { accessKey: 'env:TEST_RECEIPTS_USER', secretKey: 'env:TEST_RECEIPTS_PASSWORD' };
  return {
    ...{
      name: 'receipts',
      driver: 'bucket',
      shared: { bucket, replication: 'async', replicate: { deleteGuard: 100 }, ...settings },
    },
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

function clientOf({ cluster }: TestCluster, bucket: string): ObjectClient {
  return openObjects({
    ...{ dialect: 's3', bucket, prefix: '', region: 'us-east-1', addressing: 'path' },
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

export function settles(assertion: () => void | Promise<void>, limitMs = 20_000): Promise<void> {
  return settlesWithin(assertion, limitMs);
}
