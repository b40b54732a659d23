import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { objectCall, readSite, setSite } from '../../activities/drivers/bucket/cluster.ts';
import { bucketSite, type BucketSite } from '../../activities/drivers/bucket/config.ts';
import { localNodes, nodeProgram, type LocalNode } from '../../storage-node/dev/dev.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { PlanResource } from '../../workflows/engine/plan.ts';
import type { Site } from '../addresses.ts';
import type { Processes } from '../processes.ts';
import type { Places } from './places.ts';
import type { Env } from './wiring.ts';

/** Nodes of each site's cluster: the fewest that survive the loss of one for writes. */
export const nodesPerSite = 4;
/** The sandbox' disks are small and shared; what a real site would keep free is of no use here. */
const reserveMib = '64';
const upMs = 20_000;

interface StorageWorld {
  processes: Processes;
  places: Places;
}

export function storageNames(site: Site): string[] {
  return Array.from({ length: nodesPerSite }, (_, i) => `storage-${site}-${i + 1}`);
}

/** Starts the nodes of a site as they were left; their drives survive the site's death as disks do. */
export async function startStorageAt({ processes, places }: StorageWorld, site: Site): Promise<void> {
  const { storage, home } = places.sites[site];
  const dir = join(home, 'storage');
  await mkdir(dir, { recursive: true });
  const { host } = places.sites[site];
  const listen = storage.map((port) => ({ host, port }));
  const account = { user: places.receiptsUser, password: places.secrets.receipts };
  const { nodes } = localNodes({ listen, drivesPerNode: 1, dir, tls: false, plainRpc: false, account });
  const names = storageNames(site);
  const start = (node: LocalNode, i: number): Promise<unknown> =>
    processes.startProgram({
      name: names[i]!,
      script: nodeProgram,
      env: { ...node.env, MUSTER_RESERVE_MIB: reserveMib },
    });
  await Promise.all(nodes.map(start));
}

/** Makes the bucket of a fresh site, and fences the site when it is to stand by. */
export async function prepareBucket(
  resource: PlanResource,
  site: Site,
  { env, standby }: { env: Env; standby: boolean },
): Promise<void> {
  const bucket = bucketSite(resource, site, { ...process.env, ...env });
  await untilIsThere(bucket);
  if (standby) await setSite(bucket, { epoch: 1, fenced: true }, { timeoutMs: 5_000 });
}

async function untilIsThere(bucket: BucketSite): Promise<void> {
  const endsAtMs = performance.now() + upMs;
  for (;;) {
    const made = await makeBucket(bucket).catch((err: unknown) => (err instanceof Error ? err.message : String(err)));
    if (made === null) return;
    if (performance.now() > endsAtMs) {
      throw new MusterError('SETUP_FAILED', `the storage cluster of ${bucket.site} takes no bucket: ${made}`);
    }
    await sleep(50);
  }
}

/** @returns null once it is there, else why not */
async function makeBucket(bucket: BucketSite): Promise<string | null> {
  await readSite(bucket, { timeoutMs: 1_000 });
  const made = await objectCall(bucket, { method: 'PUT', key: '' }, { timeoutMs: 2_000 });
  return made.status === 200 || made.status === 409 ? null : `status ${made.status} ${made.text.slice(0, 200)}`;
}
