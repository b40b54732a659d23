import assert from 'node:assert/strict';
import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { repeated } from '../../support/long.ts';
import { type ChaosCluster, signal, startOn, until } from './support/cluster.ts';
import { canStop } from './support/health.ts';
import { Journal, type Knowledge } from './support/journal.ts';
import { addVersions, createBuckets, overwrite, uploadParts } from './support/load.ts';
import { verify } from './support/verify.ts';
import { createVolatileDisk, type VolatileDisk, whyNoVolatileDisk } from './support/volatile-disk.ts';

const skip = whyNoVolatileDisk() ?? false;
const sizeMiB = 2_048;
/** The four drives share a small disk. */
const env = { MUSTER_RESERVE_MIB: '64' };
const nodes = [0, 1, 2, 3];

const images = repeated(2, 100);

function homesIn(dir: string): string[] {
  return nodes.map((node) => path.join(dir, `node${node + 1}`));
}

interface Cut {
  name: string;
  known: Knowledge;
}

/** Writes with all kinds of requests and cuts the power now and then; the load goes on, for it is a copy that lost it. */
async function cutUnderLoad(cluster: ChaosCluster, disk: VolatileDisk): Promise<Cut[]> {
  const journal = new Journal();
  const cuts: Cut[] = [];
  const stop = new AbortController();
  const goesOn = (): boolean => !stop.signal.aborted;
  const writers = [
    ...nodes.map((node) => ({ write: overwrite, node, name: `overwrites-${node}` })),
    ...nodes.map((node) => ({ write: addVersions, node, name: `versions-${node}` })),
    ...[0, 2].map((node) => ({ write: uploadParts, node, name: `uploads-${node}` })),
  ];
  const load = Promise.all(
    writers.map(({ write, node, name }) => write({ client: cluster.client(node), journal, name, goesOn })),
  );
  try {
    while (cuts.length < images) {
      await Promise.race([journal.reached(journal.acknowledged + 8 + Math.floor(Math.random() * 24)), load]);
      const name = `cut${cuts.length}`;
      // Nothing is answered between the two: this process does nothing else.
      disk.cut(name);
      cuts.push({ name, known: journal.known() });
    }
  } finally {
    stop.abort();
  }
  await load;
  return cuts;
}

/** Starts a cluster from what a cut left. Every second one must do without the node that did not come back. */
async function proveNothingLost(disk: VolatileDisk, { name, known }: Cut, lost: number | undefined): Promise<void> {
  using left = disk.mountCut(name);
  const cluster = await startOn(homesIn(left.dir), env);
  try {
    const living = nodes.filter((node) => node !== lost);
    if (lost !== undefined) {
      // Ready is who has three of four; the others must be there before one of them may go.
      const host = new URL(cluster.endpoints[lost]!).host;
      for (const node of living) {
        await until(
          `node ${node + 1} sees all others`,
          async () => (await canStop(cluster.endpoints[node]!, host)) === 200,
        );
      }
      signal(cluster.pids[lost]!, 'SIGKILL');
    }
    await verify(living.map(cluster.client), known);
  } finally {
    await cluster.kill();
  }
}

test('the disk of these tests loses what was not synced, and nothing else', { skip }, () => {
  using disk = createVolatileDisk(512);
  const write = (name: string, synced: boolean): void => {
    const file = openSync(path.join(disk.dir, name), 'w');
    writeSync(file, Buffer.alloc(100_000, 7));
    if (synced) fsyncSync(file);
    closeSync(file);
  };
  write('synced', true);
  write('unsynced', false);
  disk.cut('cut');
  using left = disk.mountCut('cut');
  assert.ok(readFileSync(path.join(left.dir, 'synced')).equals(Buffer.alloc(100_000, 7)));
  const unsynced = statSync(path.join(left.dir, 'unsynced'), { throwIfNoEntry: false });
  assert.ok(unsynced === undefined || unsynced.size === 0);
});

test(
  'all nodes lose power at one instant under load: nothing acknowledged is lost or torn',
  { skip, concurrency: 2 },
  async (t) => {
    using disk = createVolatileDisk(sizeMiB);
    const cluster = await startOn(homesIn(disk.dir), env);
    let cuts: Cut[];
    try {
      await createBuckets(cluster.client(0));
      cuts = await cutUnderLoad(cluster, disk);
    } finally {
      await cluster.kill();
    }
    await Promise.all(
      cuts.map((cut, i) => {
        const lost = i % 2 === 0 ? undefined : i % nodes.length;
        const without = lost === undefined ? '' : `, and node ${lost + 1} never comes back`;
        return t.test(`image ${i + 1} of ${cuts.length}${without}`, () => proveNothingLost(disk, cut, lost));
      }),
    );
  },
);
