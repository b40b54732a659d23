import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { open } from 'lmdb';
import { openCluster } from '../../storage-node/cluster.ts';
import { loadConfig } from '../../storage-node/config.ts';
import { createClusterLayer } from '../../storage-node/object/cluster-layer.ts';
import { tables } from '../../storage-node/store/index-store.ts';
import { systemEnv } from '../../storage-node/system-env.ts';
import { inLanes } from './client.ts';

export interface FillOrder {
  /** Directories of the drives of the only set, in its order. No node may run over them. */
  drives: readonly string[];
  clusterId: string;
  bucket: string;
  from: number;
  to: number;
  keyOf: (i: number) => string;
  bodyOf: (i: number) => Uint8Array;
  /** Told from time to time how far all before is done. */
  onProgress: (done: number) => void;
}

/** Puts that are under way at the same time: many share a sync of each drive. */
const lanes = 512;

/**
 * Writes objects without network and without the protocol: the object layer, consensus and drives of a node, over four
 * drives opened in this process. To the drives it is a machine with four of them; what they then hold is what four
 * nodes would have written.
 */
export async function fillDrives(order: FillOrder): Promise<void> {
  const { from, to } = order;
  const account = { rootUser: 'filler', rootPassword: 'filler-0123456789' };
  const config = loadConfig({ drives: order.drives.join(' '), clusterId: order.clusterId, ...account }, {});
  const name = { clusterId: order.clusterId, nodeId: config.self.id };
  const cluster = await openCluster(config, { name, security: { kind: 'plain' } });
  let failed: Error | undefined;
  const layer = createClusterLayer({
    ...{ env: systemEnv, kernels: cluster.kernels, ballots: cluster.ballots, sets: cluster.sets, siteEpoch: () => 0 },
    // All drives are here: nothing may be short of anything.
    lagging: () => (failed = new Error('a drive of the filler lags behind')),
    damaged: () => (failed = new Error('a drive of the filler has lost a shard')),
    writeDeadlineMs: 120_000,
    graceMs: 120_000,
  });
  try {
    const underWay = new Set<number>();
    let told = performance.now();
    await inLanes(to - from, lanes, async (n) => {
      if (failed !== undefined) throw failed;
      const i = from + n;
      underWay.add(i);
      const body = order.bodyOf(i);
      const metadata = { headers: { 'content-type': 'application/octet-stream' }, user: {} };
      const upload = await layer.put({
        ...{ bucket: order.bucket, key: order.keyOf(i), metadata, expectedBytes: body.length },
      });
      upload.write(body);
      await upload.end();
      await upload.commit({ conditions: {}, checksum: undefined });
      underWay.delete(i);
      if (performance.now() - told < 5_000) return;
      told = performance.now();
      order.onProgress(Math.min(...underWay, i));
    });
    for (const drive of cluster.ownDrives.values()) await drive.settleMarks();
    order.onProgress(to);
  } finally {
    await cluster.close();
  }
}

export interface IndexSize {
  /** Length of the file, what the file system has allocated for it, and what LMDB has used of that (without free pages). */
  fileBytes: number;
  allocatedBytes: number;
  usedBytes: number;
  /** By table. */
  tableBytes: Record<string, number>;
  rows: Record<string, number>;
  segmentBytes: number;
}

interface TableStats {
  pageSize: number;
  treeBranchPageCount: number;
  treeLeafPageCount: number;
  overflowPages: number;
  entryCount: number;
}

/** What the index of a drive takes. The drive may be in use. */
export async function indexSize(directory: string): Promise<IndexSize> {
  const file = path.join(directory, 'index.mdb');
  const root = open({ path: file, noSubdir: true, readOnly: true, maxDbs: tables.length + 1 });
  try {
    const stats = root.getStats() as TableStats & { root: TableStats; free: TableStats };
    const tableBytes: Record<string, number> = { free: bytesOf(stats.free), main: bytesOf(stats.root) };
    const rows: Record<string, number> = {};
    for (const name of tables) {
      const own = root.openDB({ name, encoding: 'binary' }).getStats() as TableStats;
      tableBytes[name] = bytesOf(own);
      rows[name] = own.entryCount;
    }
    const { size, blocks } = statSync(file);
    const usedBytes = Object.values(tableBytes).reduce((sum, one) => sum + one, 0);
    const segmentBytes = bytesBelow(path.join(directory, 'segments'));
    return { fileBytes: size, allocatedBytes: blocks * 512, usedBytes, tableBytes, rows, segmentBytes };
  } finally {
    await root.close();
  }
}

function bytesOf({ pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages }: TableStats): number {
  return pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages);
}

function bytesBelow(directory: string): number {
  return readdirSync(directory)
    .map((name) => statSync(path.join(directory, name)).blocks * 512)
    .reduce((sum, one) => sum + one, 0);
}
