import { type Env } from '../ports.ts';
import { type DataCheck, type DriveApi, type DriveStat } from './drive-api.ts';
import { type BlockMemory, createSpaceWatch, createStopper, type DriveCore, type Hasher } from './drive-core.ts';
import { type FileSystem } from './file-system.ts';
import { createGuards } from './guards.ts';
import { type IndexStore } from './index-store.ts';
import { createPromises } from './promises.ts';
import { createRegisterStore } from './register-store.ts';
import { decodeData } from './rows.ts';
import { readLog, scan, scanDigest } from './scan.ts';
import { openSegments } from './segments.ts';
import { createShardStore, extentLength } from './shard-store.ts';
import { compactOnce } from './compact.ts';

export interface DriveOptions {
  /** For people. */
  name: string;
  driveId: string;
  directory: string;
  env: Env;
  files: FileSystem;
  index: IndexStore;
  hasher: Hasher;
  memory: BlockMemory;
  /** New data is refused when less than this is free, bytes. */
  reserveBytes: number;
}

/** A drive that is open. */
export interface Drive extends DriveApi {
  /** Rewrites one segment file that is mostly dead, if there is one. @returns bytes given back. */
  compactOnce(): Promise<number>;
  /** Resolves when the bytes of every segment file that rows refer to have been counted. */
  counted: Promise<void>;
  /** Why it has stopped; undefined while it works. */
  stopReason(): string | undefined;
  close(): Promise<void>;
}

/** Opens a drive: its index, its segment files, its promises. Takes no longer for a million objects than for one. */
export async function openDrive(options: DriveOptions): Promise<Drive> {
  const { env, files, index, name } = options;
  const segmentsDirectory = `${options.directory}/segments`;
  await files.makeDirectory(segmentsDirectory);
  const stopper = createStopper(name);
  const space = createSpaceWatch(env, files, options);
  await space.refresh();
  const segments = await openSegments(files, segmentsDirectory);
  const { hasher, memory, directory } = options;
  const core: DriveCore = { name, directory, env, files, index, segments, hasher, memory, space, ...stopper };
  const promises = createPromises(core);
  const guards = createGuards(core);
  const shards = createShardStore(core);
  const registers = createRegisterStore({ core, promises, guards, shards });
  const stores = { index, registers, hasher };
  let closed = false;
  const counted = countLive(core, () => closed);
  counted.catch(() => {});

  /** Every call of a stopped drive fails alike. */
  const call = async <T>(run: () => T | Promise<T>): Promise<T> => {
    core.check();
    return run();
  };
  return {
    read: (request) => call(() => registers.read(request)),
    prepare: (request) => registers.prepare(request),
    accept: (request) => registers.accept(request),
    decide(requests) {
      if (stopper.reason() === undefined && !closed) registers.decide(requests);
    },
    learn: (request) => registers.learn(request),
    stage: (request) => shards.stage(request),
    readSmall: (dataIds) => call(() => dataIds.map((id) => shards.small(id))),
    readBlocks: (request) => call(() => shards.blocks(request)),
    pin: (dataIds) => shards.pin(dataIds),
    checkData: (dataIds, verify) =>
      call(async () => {
        const checks: DataCheck[] = [];
        for (const id of dataIds) checks.push(await shards.checkData(id, verify));
        return checks;
      }),
    repair: ({ key, ballot, puts }) => registers.repair(key, ballot, puts),
    scan: (request) => call(() => scan(stores, request)),
    scanDigest: (request) => call(() => scanDigest(stores, request)),
    log: (request) => call(() => readLog(stores, request)),
    raiseFloor: (ballot) =>
      call(async () => {
        const floor = await promises.raiseFloor(ballot);
        // What was accepted before the floor rose must be in the log before anybody reads it.
        await registers.settled();
        return floor;
      }),
    forget: (request) => call(() => registers.forget(request)),
    siteState: () => call(() => guards.site()),
    setSiteState: (state) =>
      call(async () => {
        const now = await guards.setSite(state);
        await registers.settled();
        return now;
      }),
    guardBucket: (guard) =>
      call(async () => {
        const now = await guards.guardBucket(guard);
        await registers.settled();
        return now;
      }),
    stat: async () => statOf(core, options, stopper.reason()),
    compactOnce: () => compactOnce(core, shards),
    counted,
    stopReason: stopper.reason,
    async close() {
      if (closed) return;
      closed = true;
      await registers.close();
      await counted.catch(() => {});
      await segments.close();
      await index.close();
    },
  };
}

function statOf(core: DriveCore, options: DriveOptions, reason: string | undefined): DriveStat {
  const files = [...core.segments.all()];
  return {
    driveId: options.driveId,
    state: reason !== undefined ? 'stopped' : core.space.full() ? 'full' : 'ok',
    reason,
    totalBytes: core.space.totalBytes,
    freeBytes: core.space.freeBytes,
    indexBytes: core.index.sizeBytes(),
    segmentBytes: sum(files, ({ end }) => end),
    liveBytes: sum(files, ({ liveBytes }) => liveBytes),
    registers: core.index.count('registers'),
    quarantined: 0,
    undecided: 0,
  };
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}

/** Rows looked at before others get their turn. */
const countedAtOnce = 2_000;

/** Counts what of each segment file is alive, while the drive already works. */
async function countLive(core: DriveCore, stopped: () => boolean): Promise<void> {
  const before = new Set([...core.segments.all()].map(({ id }) => id));
  let from: Uint8Array = new Uint8Array(0);
  for (;;) {
    if (stopped()) return;
    let rows = 0;
    let last: Uint8Array | undefined;
    for (const { key, value } of core.index.range('data', from, undefined)) {
      if (rows++ === countedAtOnce) break;
      last = key;
      const row = decodeData(value);
      for (const extent of row.extents) {
        const segment = core.segments.get(extent.segment);
        if (segment !== undefined && before.has(extent.segment)) segment.liveBytes += extentLength(row, extent);
      }
    }
    if (last === undefined || rows <= countedAtOnce) return;
    from = Buffer.concat([last, Buffer.from([0])]);
    await new Promise<void>((resolve) => {
      core.env.clock.setTimer(0, resolve);
    });
  }
}
