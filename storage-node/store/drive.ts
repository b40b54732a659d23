import { type Env } from '../ports.ts';
import { compactOnce } from './compact.ts';
import { createDataTable } from './data-table.ts';
import { type DataCheck, type DriveApi, type DriveStat, type SiteLease } from './drive-api.ts';
import {
  type BlockMemory,
  createSpaceWatch,
  createStopper,
  type DriveCore,
  type Hasher,
  type Stopper,
} from './drive-core.ts';
import { type FileSystem } from './file-system.ts';
import { createGuards } from './guards.ts';
import { checkIdentity } from './identity.ts';
import { type IndexStore } from './index-store.ts';
import { createPromises } from './promises.ts';
import { countQuarantine, countQuarantinedRows } from './quarantine.ts';
import { createRegisterStore, type RegisterStore, type RegisterStoreDeps } from './register-store.ts';
import { readLog, scan, scanDigest, scanPacked } from './scan.ts';
import { openSegments } from './segments.ts';
import { readBlocks, readSmall } from './shard-read.ts';
import { createShardStore } from './shard-store.ts';

export interface DriveOptions {
  /** For people. */
  name: string;
  driveId: string;
  directory: string;
  env: Env;
  files: FileSystem;
  /** Closed with the drive, also when opening it fails. */
  index: IndexStore;
  hasher: Hasher;
  memory: BlockMemory;
  /** New data is refused when less than this is free, bytes. */
  reserveBytes: number;
}

/** A drive that is open. */
export interface Drive extends DriveApi {
  /**
   * Rewrites one segment file that is mostly dead, if there is one; with `eager` also one in which data is still dying.
   * @returns bytes given back
   */
  compactOnce(eager?: boolean): Promise<number>;
  /** Writes down what is decided and lets go of what that freed, without waiting for late readers. */
  settleMarks(): Promise<void>;
  /** Resolves when the bytes of every segment file that rows refer to have been counted. */
  counted: Promise<void>;
  /** The site's lease as its node holds it; undefined takes it back. */
  lease(lease: SiteLease | undefined): void;
  /** Why it has stopped; undefined while it works. */
  stopReason(): string | undefined;
  close(): Promise<void>;
}

interface Parts extends RegisterStoreDeps {
  registers: RegisterStore;
}

/** Opens a drive: its index, its segment files, its promises. Takes no longer for a million objects than for one. */
export async function openDrive(options: DriveOptions): Promise<Drive> {
  try {
    return await open(options);
  } catch (error) {
    await options.index.close();
    throw error;
  }
}

async function open(options: DriveOptions): Promise<Drive> {
  const { files, index, directory } = options;
  const stopper = createStopper(options.name);
  const core = await openCore(options, stopper);
  const promises = createPromises(core);
  const guards = createGuards(core);
  const table = createDataTable(core);
  const shards = createShardStore(core, table);
  const registers = createRegisterStore({ core, promises, guards, shards });
  const quarantined = (await countQuarantine(files, directory)) + countQuarantinedRows(index);
  let closed = false;
  const counted = table.count(() => closed);
  const resumed = registers.resume(() => closed);
  // A failure is that of a read of the index: the next compaction meets it again, and tells.
  for (const work of [counted, resumed]) work.catch(() => {});
  let compacting = Promise.resolve(0);
  return {
    ...apiOf({ core, promises, guards, shards, registers }),
    decide(requests) {
      if (stopper.reason() === undefined && !closed) registers.decide(requests);
    },
    stat: async () => statOf(core, options, { registers, quarantined, reason: stopper.reason() }),
    compactOnce(eager = false) {
      const before = compacting;
      const work = async (): Promise<number> => {
        await Promise.allSettled([before, counted]);
        core.check();
        return compactOnce(core, table, eager);
      };
      compacting = work();
      return compacting;
    },
    settleMarks: () => registers.marks.flush(true),
    lease: guards.lease,
    counted,
    stopReason: stopper.reason,
    async close() {
      if (closed) return;
      closed = true;
      stopper.close();
      await registers.close();
      await Promise.allSettled([counted, resumed, compacting]);
      await core.segments.close();
      await index.close();
    },
  };
}

async function openCore(options: DriveOptions, stopper: Stopper): Promise<DriveCore> {
  const { env, files, index, name, hasher, memory, directory } = options;
  const space = createSpaceWatch(env, files, options);
  await space.refresh();
  const segments = await openSegments({ files, directory, wrote: space.wrote });
  await checkIdentity(options, [...segments.all()].length);
  return { name, directory, env, files, index, segments, hasher, memory, space, ...stopper };
}

/** The calls of the cluster. Those of a stopped drive all fail alike. */
function apiOf({ core, promises, guards, shards, registers }: Parts): Omit<DriveApi, 'decide' | 'stat'> {
  const stores = { index: core.index, registers, hasher: core.hasher };
  const call = async <T>(run: () => T | Promise<T>): Promise<T> => {
    core.check();
    return run();
  };
  /** What was being written when a new rule came into force ends before the rule is confirmed. */
  const ruled = <T>(rule: () => Promise<T>): Promise<T> =>
    call(async () => {
      const now = await rule();
      await registers.settled();
      return now;
    });
  return {
    read: (request) => call(() => registers.read(request)),
    prepare: registers.prepare,
    accept: registers.accept,
    learn: registers.learn,
    stage: shards.stage,
    unstage: (dataId) => call(() => shards.unstage(dataId)),
    readSmall: (dataIds) => call(() => dataIds.map((id) => readSmall(core, id))),
    readBlocks: (request) => call(() => readBlocks(core, request)),
    pin: shards.pin,
    checkData: (dataIds, verify) =>
      call(async () => {
        const checks: DataCheck[] = [];
        for (const id of dataIds) checks.push(await shards.checkData(id, verify));
        return checks;
      }),
    repair: ({ key, ballot, puts }) => registers.repair(key, ballot, puts),
    scan: (request) => call(() => scan(stores, request)),
    scanDigest: (request) => call(() => scanDigest(stores, request)),
    scanPacked: (request) => call(() => scanPacked(stores, request)),
    log: (request) => call(() => readLog(stores, request)),
    // What was accepted before the floor rose must be in the log before anybody reads it.
    raiseFloor: (ballot) => ruled(() => promises.raiseFloor(ballot)),
    forget: registers.forget,
    siteState: () => call(guards.site),
    setSiteState: (state) => ruled(() => guards.setSite(state)),
    guardBucket: (guard) => ruled(() => guards.guardBucket(guard)),
  };
}

function statOf(
  core: DriveCore,
  options: DriveOptions,
  now: { registers: RegisterStore; quarantined: number; reason: string | undefined },
): DriveStat {
  const files = [...core.segments.all()];
  return {
    driveId: options.driveId,
    state: now.reason !== undefined ? 'stopped' : core.space.full() ? 'full' : 'ok',
    reason: now.reason,
    totalBytes: core.space.totalBytes,
    freeBytes: Math.max(0, core.space.freeBytes),
    indexBytes: core.index.sizeBytes(),
    segmentBytes: files.reduce((sum, { end }) => sum + end, 0),
    liveBytes: files.reduce((sum, { liveBytes }) => sum + liveBytes, 0),
    registers: core.index.count('registers'),
    quarantined: now.quarantined,
    undecided: now.registers.undecided,
  };
}
