import { createHash } from 'node:crypto';
import { createBallotClock } from '../../../storage-node/consensus/ballot.ts';
import { createKernels } from '../../../storage-node/erasure/kernels.ts';
import { type Kernels, type Md5Stream } from '../../../storage-node/erasure/types.ts';
import { createHealer, type Healer } from '../../../storage-node/heal/healer.ts';
import { type ClusterLayer, createClusterLayer } from '../../../storage-node/object/cluster-layer.ts';
import { dataOf, headOf } from '../../../storage-node/object/state-codec.ts';
import { type NodeWorld } from './cluster.ts';

/** What runs on each machine: the object layer and the healer of a node, as in production. */
export interface StorageProgram {
  layer: ClusterLayer;
  healer: Healer;
  world: NodeWorld;
}

/** One arena serves all worlds, one after the other. MD5 is the plain one: lanes are shared by time, not by turns. */
const kernels: Kernels = { ...createKernels(), md5: plainMd5 };

function plainMd5(): Md5Stream {
  const hash = createHash('md5');
  return {
    update(slab, offset, length, release) {
      hash.update(slab.bytes.subarray(offset, offset + length));
      release();
    },
    updateBytes: (bytes) => void hash.update(bytes),
    digest: () => Promise.resolve(hash.digest()),
    abort() {},
  };
}

/** How long calls of drives are waited for, milliseconds: less than in production, so that a run sees more of it. */
const usualDeadlines = { readDeadlineMs: 2_000, writeDeadlineMs: 4_000 };
export type Deadlines = typeof usualDeadlines;

export function startStorageProgram(world: NodeWorld, deadlines: Deadlines = usualDeadlines): StorageProgram {
  const { env, nodeIndex, sets } = world;
  const ballots = createBallotClock(nodeIndex, env.clock);
  ballots.observe(world.floor);
  const layer = createClusterLayer({
    ...{ env, kernels, ballots, sets, ...deadlines },
    siteEpoch: () => 0,
    lagging: (set, key) => healer.lagging(set, key),
    damaged: (set, key) => healer.damaged(set, key),
    graceMs: 50,
  });
  const { registers } = layer;
  const values = { dataOf, headOf };
  const throttle = (): Promise<void> => Promise.resolve();
  const healer = createHealer(
    { env, kernels, ballots, registers, values, deadlineMs: deadlines.readDeadlineMs, throttle },
    { sets, inCharge: () => nodeIndex === 0, recountEveryMs: 5_000, scrubEveryMs: 20_000 },
  );
  return { layer, healer, world };
}

export { kernels };
