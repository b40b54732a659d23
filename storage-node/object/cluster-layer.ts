import { type BallotClock } from '../consensus/ballot.ts';
import { createHedgeBudget } from '../consensus/hedge.ts';
import { createRegisters, type Registers } from '../consensus/registers.ts';
import { type Kernels } from '../erasure/types.ts';
import { combineChecksums } from '../hash/checksums.ts';
import { type Env } from '../ports.ts';
import { type IndexKey } from '../store/drive-api.ts';
import { type ErasureSet } from '../store/set.ts';
import { type Buckets, createBuckets } from './buckets.ts';
import { readChanges } from './changes.ts';
import { type ObjectLayer } from './layer.ts';
import { listObjects, listVersions } from './listing.ts';
import { rebuildLost } from '../heal/rebuild.ts';
import { createObjects, type ObjectsDeps } from './objects.ts';
import { setTags } from './set-tags.ts';
import { createSetScanner, type SetScanner } from './set-scan.ts';
import { dataIdsOf, lentDataOf } from './state-codec.ts';
import { createUploads, type Uploads } from './uploads.ts';

export interface ClusterLayerOptions {
  env: Env;
  kernels: Kernels;
  ballots: BallotClock;
  sets: readonly ErasureSet[];
  /** The site epoch this node knows. */
  siteEpoch: () => number;
  /** Told that drives know a newer site epoch. */
  epochPassed?: () => void;
  /** Told of keys some drive is short of, and of shards that were missing or damaged when read. */
  lagging: (set: ErasureSet, key: IndexKey) => void;
  damaged: (set: ErasureSet, key: IndexKey) => void;
  /** Tells the other nodes that a bucket's settings have changed. */
  announceBucket?: (name: string) => void;
  /** How long a read or a write waits for drives at all, milliseconds. */
  readDeadlineMs?: number;
  writeDeadlineMs?: number;
  /** How long a write that is chosen still waits for drives that are merely slow, milliseconds. */
  graceMs?: number;
}

/** The cluster as one node sees it, with the parts that others (healing, admin) need. */
export interface ClusterLayer extends ObjectLayer {
  registers: Registers;
  scanner: SetScanner;
  buckets: Buckets;
  uploads: Uploads;
}

export function createClusterLayer(options: ClusterLayerOptions): ClusterLayer {
  const { env, kernels, ballots, sets } = options;
  const readDeadlineMs = options.readDeadlineMs ?? 5_000;
  const writeDeadlineMs = options.writeDeadlineMs ?? 10_000;
  const hedges = createHedgeBudget();
  const registers = createRegisters({
    hedges,
    env,
    ballots,
    ...{ dataIdsOf, lentDataOf },
    rebuild: (lost) => rebuildLost({ env, kernels, deadlineMs: readDeadlineMs }, lost),
    siteEpoch: options.siteEpoch,
    ...(options.epochPassed === undefined ? {} : { epochPassed: options.epochPassed }),
    lagging: options.lagging,
    readDeadlineMs,
    writeDeadlineMs,
    ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
  });
  const scanner = createSetScanner({ env, registers, deadlineMs: readDeadlineMs });
  const announce = options.announceBucket ?? ((): void => {});
  const buckets = createBuckets({ env, sets, registers, scanner, announce, deadlineMs: writeDeadlineMs });
  const deps: ObjectsDeps = {
    ...{ env, kernels, ballots, sets, registers, scanner, hedges, readDeadlineMs, writeDeadlineMs },
    bucket: buckets.get,
    withBucket: buckets.withBucket,
    damaged: (data) => options.damaged(data.set, data.key),
  };
  const objects = createObjects(deps);
  const uploads = createUploads({ ...deps, combineChecksums });
  const listing = { sets, scanner };
  return {
    ...{ registers, scanner, buckets, uploads },
    createBucket: buckets.create,
    bucket: buckets.get,
    listBuckets: buckets.list,
    deleteBucket: buckets.remove,
    setVersioning: buckets.setVersioning,
    setDocument: buckets.setDocument,
    ...objects,
    setTags: (input) => setTags(deps, input),
    list: async (name, input) => listObjects(listing, await buckets.get(name), input),
    listVersions: async (name, input) => listVersions(listing, await buckets.get(name), input),
    ...uploads,
    changes: async (name, input) =>
      readChanges({ env, sets, registers, ballots, deadlineMs: readDeadlineMs }, await buckets.get(name), input),
  };
}
