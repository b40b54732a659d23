import { StorageError } from '../errors.ts';
import { type Clock, type Timer } from '../ports.ts';
import { type DataId, type StageWriter } from '../store/drive-api.ts';
import { type DriveHandle, type ErasureSet, writeQuorum } from '../store/set.ts';
import { type Stripe } from './stripe.ts';

/** Bytes a drive may be behind before the sender waits for it. */
const roomBytes = 2 * 1024 * 1024;
/** How long the others wait for a drive that takes nothing, milliseconds. Then the write goes on without it. */
export const stallMs = 1_000;

/** Streams the shards of one data to all drives of a set. Drives that fail or stall are left behind, down to N/2+1. */
export interface ShardWriter {
  /** Hands out one stripe's shards, each to its drive. `checksumOf` gives the checksum of a shard's block. */
  write(stripe: Stripe, checksumOf: (shard: number) => bigint): void;
  /** Whether more may be written now; otherwise `onRoom` is called later. */
  hasRoom(): boolean;
  onRoom: (() => void) | undefined;
  /** Resolves when a write quorum has everything durably. @throws StorageError WriteQuorumLost, OutOfSpace. */
  finish(): Promise<void>;
  abort(): void;
}

export interface ShardWriterInput {
  set: ErasureSet;
  dataId: DataId;
  /** Which shard the drive at a place of the set gets. */
  shardAt: (position: number) => number;
  expectedShardBytes: number | undefined;
  clock: Clock;
  deadlineMs: number;
}

interface Lane {
  drive: DriveHandle;
  shard: number;
  writer: StageWriter;
  lost: boolean;
}

export function createShardWriter(input: ShardWriterInput): ShardWriter {
  const { set, clock } = input;
  const quorum = writeQuorum(set.drives.length);
  const lanes: Lane[] = set.drives.map((drive) => {
    const shard = input.shardAt(drive.position);
    const writer = drive.api.stage({ dataId: input.dataId, shard, expectedBytes: input.expectedShardBytes });
    return { drive, shard, writer, lost: false };
  });
  let stall: Timer | undefined;
  const living = (): Lane[] => lanes.filter(({ lost }) => !lost);
  const lose = (lane: Lane): void => {
    if (lane.lost) return;
    lane.lost = true;
    lane.writer.abort();
  };
  const hasRoom = (): boolean => living().every(({ writer }) => writer.queuedBytes <= roomBytes);
  const progressed = (): void => {
    if (!hasRoom()) return;
    stall?.cancel();
    stall = undefined;
    self.onRoom?.();
  };
  for (const { writer } of lanes) writer.onProgress = progressed;

  /** Leaves behind the drives that hold up the others, as long as enough remain. */
  const leaveBehind = (): void => {
    stall = undefined;
    const behind = living().filter(({ writer }) => writer.queuedBytes > roomBytes);
    if (living().length - behind.length >= quorum) for (const lane of behind) lose(lane);
    else if (behind.length > 0) stall = clock.setTimer(stallMs, leaveBehind);
    progressed();
  };
  const self: ShardWriter = {
    onRoom: undefined,
    hasRoom() {
      const room = hasRoom();
      if (!room) stall ??= clock.setTimer(stallMs, leaveBehind);
      return room;
    },
    write(stripe, checksumOf) {
      for (const lane of living()) {
        const at = stripe.offsetOf(lane.shard);
        const payload = stripe.slab.bytes.subarray(at, at + stripe.blockBytes);
        stripe.hold();
        const place = stripe.placeOf(lane.shard);
        lane.writer.write({ index: stripe.index, payload, checksum: checksumOf(lane.shard), place }, stripe.drop);
      }
    },
    async finish() {
      stall?.cancel();
      await finishLanes(living(), { quorum, clock, deadlineMs: input.deadlineMs, lose });
    },
    abort() {
      stall?.cancel();
      for (const lane of lanes) lose(lane);
    },
  };
  return self;
}

interface FinishOptions {
  quorum: number;
  clock: Clock;
  deadlineMs: number;
  lose: (lane: Lane) => void;
}

/** Waits for all drives; once a quorum is done, for the others no longer than a stall (suspects not at all). */
function finishLanes(lanes: Lane[], options: FinishOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const open = new Set(lanes);
    let done = 0;
    let cause: unknown;
    let settled = false;
    let grace: Timer | undefined;
    const end = (): void => {
      if (settled) return;
      settled = true;
      deadline.cancel();
      grace?.cancel();
      for (const lane of open) options.lose(lane);
      if (done >= options.quorum) resolve();
      else reject(writeFailed(done, options.quorum, cause));
    };
    const deadline = options.clock.setTimer(options.deadlineMs, end);
    const look = (): void => {
      if (open.size === 0 || done + open.size < options.quorum) return end();
      if (done < options.quorum || grace !== undefined) return;
      if ([...open].every(({ drive }) => drive.health.suspect)) return end();
      grace = options.clock.setTimer(stallMs, end);
    };
    for (const lane of lanes) {
      lane.writer.finish().then(
        () => {
          done += 1;
          open.delete(lane);
          look();
        },
        (error: unknown) => {
          cause = error;
          open.delete(lane);
          options.lose(lane);
          look();
        },
      );
    }
    look();
  });
}

function writeFailed(done: number, needed: number, cause: unknown): StorageError {
  if (cause instanceof StorageError && cause.code === 'OutOfSpace') return cause;
  return new StorageError('WriteQuorumLost', `${done} drives took the data, a write needs ${needed}`, { cause });
}
