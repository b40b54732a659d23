import { shardBlockBytes, stripeDataBytes } from '../erasure/geometry.ts';
import { type Kernels, type Slab } from '../erasure/types.ts';
import { StorageError } from '../errors.ts';
import { type Clock, type Timer } from '../ports.ts';
import { blockSeed } from '../store/block.ts';
import { type DataId, type IndexKey, type SmallShard } from '../store/drive-api.ts';
import { shardAt } from './placement.ts';
import { type HedgeBudget } from '../consensus/hedge.ts';
import { byNearness } from '../consensus/look.ts';
import { type DriveHandle, type ErasureSet, readQuorum } from '../store/set.ts';

/** Data to be read: which shards lie where follows from its id. */
export interface StoredData {
  /** The register that refers to it. */
  key: IndexKey;
  set: ErasureSet;
  dataId: DataId;
  sizeBytes: number;
  small: boolean;
}

/** One stripe's data in order, verified and complete. */
export interface ReadStripe {
  /** k pieces; together exactly the stripe's data bytes. */
  pieces: Uint8Array[];
  release(): void;
}

export interface StripeReader {
  read(index: number): Promise<ReadStripe>;
  /** k verified blocks of a stripe, for those who compute other shards from them. Each must be released. */
  blocks(index: number): Promise<GoodBlock[]>;
}

export interface StripeReaderDeps {
  kernels: Kernels;
  clock: Clock;
  deadlineMs: number;
  /** Told when a shard was missing or damaged. */
  damaged: (data: StoredData, position: number) => void;
  hedges: HedgeBudget;
}

/** A verified block in arena memory. */
export interface GoodBlock {
  shard: number;
  at: number;
  payload: Uint8Array;
  release: () => void;
}

/**
 * Reads stripes from as few drives as hold one (k), the nearest first; another drive is asked whenever one is late,
 * lost, or has a block that does not match its checksum. Such drives are not asked again for this data.
 * @param heads small shards that a look at the register brought along
 */
export function createStripeReader(
  deps: StripeReaderDeps,
  data: StoredData,
  heads: readonly { position: number; shard: SmallShard }[] = [],
): StripeReader {
  const avoid = new Set<DriveHandle>();
  const blocks = (index: number): Promise<GoodBlock[]> => gatherBlocks(deps, { data, index, avoid, heads });
  return {
    blocks,
    read: async (index) => assemble(deps.kernels, data, index, await blocks(index)),
  };
}

interface Gather {
  data: StoredData;
  index: number;
  avoid: Set<DriveHandle>;
  heads: readonly { position: number; shard: SmallShard }[];
}

/** Resolves with k verified blocks of different shards. @throws StorageError ReadQuorumLost, Corrupt. */
function gatherBlocks(deps: StripeReaderDeps, gather: Gather): Promise<GoodBlock[]> {
  const { data, avoid } = gather;
  const needed = readQuorum(data.set.drives.length);
  return new Promise((resolve, reject) => {
    const good: GoodBlock[] = [];
    let bad = 0;
    let asked = 0;
    let open = 0;
    let closed = false;
    let hedge: Timer | undefined;
    const order = readOrder(data, avoid, gather.heads);
    const close = (): boolean => {
      if (closed) return false;
      closed = true;
      deadline.cancel();
      hedge?.cancel();
      return true;
    };
    const giveUp = (): void => {
      if (!close()) return;
      for (const block of good) block.release();
      const size = data.set.drives.length;
      const facts = `${good.length} of ${size} shards could be read, ${needed} are needed, ${bad} are missing or damaged`;
      reject(new StorageError(size - bad < needed ? 'Corrupt' : 'ReadQuorumLost', facts));
    };
    const deadline = deps.clock.setTimer(deps.deadlineMs, giveUp);
    const enough = (): void => {
      if (good.length >= needed && close()) resolve(good);
    };
    const next = (): void => {
      if (closed) return;
      if (asked < order.length) ask(order[asked++]!);
      else if (open === 0) giveUp();
    };
    const ask = (drive: DriveHandle): void => {
      open += 1;
      blockFrom(deps, gather, drive).then(
        (block) => {
          open -= 1;
          if (block === undefined) {
            bad += 1;
            avoid.add(drive);
            deps.damaged(data, drive.position);
            next();
          } else if (closed) block.release();
          else {
            good.push(block);
            enough();
          }
        },
        () => {
          open -= 1;
          avoid.add(drive);
          next();
        },
      );
    };
    for (let i = 0; i < needed; i++) next();
    const waitMs = Math.max(...order.slice(0, needed).map((drive) => drive.health.hedgeAfterMs()));
    const startedMs = deps.clock.monotonicMs();
    const hedgeLater = (): void => {
      if (closed || asked >= order.length) return;
      hedge = deps.clock.setTimer(waitMs, () => {
        if (deps.hedges.allows(deps.clock.monotonicMs() - startedMs)) next();
        hedgeLater();
      });
    };
    deps.hedges.read();
    hedgeLater();
  });
}

/**
 * Drives whose shard is at hand already, then the local one, then those that hold data shards (no decoding), then the
 * rest; suspects and drives that failed before last.
 */
function readOrder(data: StoredData, avoid: ReadonlySet<DriveHandle>, heads: Gather['heads']): DriveHandle[] {
  const size = data.set.drives.length;
  const atHand = new Set(heads.map(({ position }) => position));
  const rank = (drive: DriveHandle): number => {
    if (avoid.has(drive)) return 4;
    if (atHand.has(drive.position)) return 0;
    if (drive.health.suspect) return 3;
    if (drive.local) return 0;
    return shardAt(data.dataId, drive.position, size) < readQuorum(size) ? 1 : 2;
  };
  return byNearness(data.set.drives)
    .map((drive) => ({ drive, rank: rank(drive) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ drive }) => drive);
}

/** @returns undefined when the drive says it has no such block, or what it has does not match. */
async function blockFrom(deps: StripeReaderDeps, gather: Gather, drive: DriveHandle): Promise<GoodBlock | undefined> {
  const { data, index } = gather;
  if (data.small) {
    const head = gather.heads.find(({ position }) => position === drive.position);
    const [shard] =
      head === undefined ? await drive.api.readSmall([data.dataId], { deadlineMs: deps.deadlineMs }) : [head.shard];
    if (shard?.kind !== 'shard') return undefined;
    return verified(deps.kernels, data, { index, ...shard, release: () => {}, drive });
  }
  const reply = await drive.api.readBlocks(
    { dataId: data.dataId, first: index, count: 1 },
    { deadlineMs: deps.deadlineMs },
  );
  if (reply.kind !== 'blocks') return undefined;
  const block = reply.blocks[0];
  if (block === undefined) {
    reply.release();
    return undefined;
  }
  return verified(deps.kernels, data, { ...block, shard: reply.shard, release: reply.release, drive });
}

interface Unverified {
  drive: DriveHandle;
  index: number;
  shard: number;
  payload: Uint8Array;
  checksum: bigint;
  release: () => void;
}

function verified(kernels: Kernels, data: StoredData, block: Unverified): GoodBlock | undefined {
  const size = data.set.drives.length;
  const dataBytes = stripeDataBytes(data.sizeBytes, block.index);
  const expected = {
    shard: shardAt(data.dataId, block.drive.position, size),
    bytes: shardBlockBytes(dataBytes, readQuorum(size)),
  };
  if (block.shard !== expected.shard || block.payload.length !== expected.bytes) {
    block.release();
    return undefined;
  }
  const placed = inArena(kernels, block.payload, block.release);
  const checksum = kernels.xxh64(placed.at, expected.bytes, blockSeed(data.dataId, block.shard, block.index));
  if (checksum !== block.checksum) {
    placed.release();
    return undefined;
  }
  return { shard: block.shard, ...placed };
}

/** Where the kernels can reach the bytes: as they lie, or as a copy. */
function inArena(
  kernels: Kernels,
  payload: Uint8Array,
  release: () => void,
): { at: number; payload: Uint8Array; release: () => void } {
  const at = kernels.arena.addressOf(payload);
  if (at !== undefined) return { at, payload, release };
  const slab: Slab = kernels.arena.take(payload.length);
  const copy = slab.bytes.subarray(0, payload.length);
  copy.set(payload);
  release();
  return { at: slab.at, payload: copy, release: () => slab.release() };
}

/** Puts the data shards in order, computing those that are not there. */
function assemble(kernels: Kernels, data: StoredData, index: number, blocks: GoodBlock[]): ReadStripe {
  const size = data.set.drives.length;
  const needed = readQuorum(size);
  const dataBytes = stripeDataBytes(data.sizeBytes, index);
  const blockBytes = shardBlockBytes(dataBytes, needed);
  const shards = new Map(blocks.map((block) => [block.shard, block.payload]));
  const missing = Array.from({ length: needed }, (_, shard) => shard).filter((shard) => !shards.has(shard));
  const made: Slab[] = [];
  if (missing.length > 0) {
    const wanted = missing.map((shard) => {
      const slab = kernels.arena.take(blockBytes);
      made.push(slab);
      shards.set(shard, slab.bytes.subarray(0, blockBytes));
      return { shard, at: slab.at };
    });
    kernels.code(size).reconstruct(blocks.slice(0, needed), wanted, blockBytes);
  }
  const pieces: Uint8Array[] = [];
  for (let shard = 0, left = dataBytes; shard < needed && left > 0; shard++) {
    const length = Math.min(left, blockBytes);
    pieces.push(shards.get(shard)!.subarray(0, length));
    left -= length;
  }
  return {
    pieces,
    release() {
      for (const block of blocks) block.release();
      for (const slab of made) slab.release();
    },
  };
}
