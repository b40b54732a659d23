import { shardBlockBytes, shardBytes, stripeCount, stripeDataBytes } from '../erasure/geometry.ts';
import { createHedgeBudget } from '../consensus/hedge.ts';
import { blockSeed } from '../store/block.ts';
import { type ShardPut, type StageWriter } from '../store/drive-api.ts';
import { type DriveHandle, readQuorum } from '../store/set.ts';
import { type LostShards } from '../consensus/registers.ts';
import { dataOf } from '../object/state-codec.ts';
import { shardAt } from '../object/placement.ts';
import { createStripeReader, type GoodBlock, type StoredData } from '../object/stripe-reader.ts';
import { type HealDeps } from './types.ts';

export type RebuildDeps = Pick<HealDeps, 'kernels' | 'deadlineMs' | 'throttle' | 'hedges'> & {
  env: Pick<HealDeps['env'], 'clock'>;
};

export interface Rebuilt {
  puts: Map<DriveHandle, ShardPut>;
  bytes: number;
}

/** The shards of some data of a register's value, for the drives at some places of the set. */
export async function rebuildLost(
  deps: Omit<RebuildDeps, 'throttle'>,
  lost: LostShards,
): Promise<Map<number, ShardPut[]>> {
  const { set, key, value, positions } = lost;
  const drives = set.drives.filter(({ position }) => positions.includes(position));
  const puts = new Map<number, ShardPut[]>();
  for (const data of dataOf(key, value)) {
    if (!lost.dataIds.some((id) => Buffer.compare(id, data.dataId) === 0)) continue;
    const rebuilt = await rebuildShards({ ...deps, throttle: () => Promise.resolve() }, { ...data, key, set }, drives);
    for (const [{ position }, put] of rebuilt.puts) puts.set(position, [...(puts.get(position) ?? []), put]);
  }
  return puts;
}

interface MadeBlock {
  payload: Uint8Array;
  checksum: bigint;
}

/**
 * Computes the shards that some drives lack from k verified others, stripe by stripe, and gives them to those drives.
 * Large ones are staged and durable on return; a register must still name them (`repair` or `learn`).
 */
export async function rebuildShards(
  deps: RebuildDeps,
  data: StoredData,
  drives: readonly DriveHandle[],
): Promise<Rebuilt> {
  const size = data.set.drives.length;
  const shardOf = (drive: DriveHandle): number => shardAt(data.dataId, drive.position, size);
  const reader = createStripeReader(
    {
      kernels: deps.kernels,
      clock: deps.env.clock,
      deadlineMs: deps.deadlineMs,
      damaged: () => {},
      hedges: deps.hedges ?? createHedgeBudget(),
    },
    data,
  );
  const rebuilt: Rebuilt = { puts: new Map(), bytes: 0 };
  const writers = new Map<DriveHandle, StageWriter>();
  if (!data.small) {
    for (const drive of drives) {
      const expectedBytes = shardBytes(data.sizeBytes, readQuorum(size));
      writers.set(drive, drive.api.stage({ dataId: data.dataId, shard: shardOf(drive), expectedBytes }));
    }
  }
  try {
    for (let index = 0; index < stripeCount(data.sizeBytes); index++) {
      const blockBytes = shardBlockBytes(stripeDataBytes(data.sizeBytes, index), readQuorum(size));
      await deps.throttle(blockBytes * (readQuorum(size) + drives.length));
      const made = makeBlocks(
        deps,
        data,
        { index, blockBytes, wanted: drives.map(shardOf) },
        await reader.blocks(index),
      );
      for (const drive of drives) {
        const block = made.get(shardOf(drive))!;
        rebuilt.bytes += blockBytes;
        const writer = writers.get(drive);
        if (writer === undefined) {
          rebuilt.puts.set(drive, { kind: 'small', dataId: data.dataId, shard: shardOf(drive), ...block });
        } else await giveBlock(writer, index, block);
      }
    }
    for (const [drive, writer] of writers) {
      await writer.finish();
      rebuilt.puts.set(drive, { kind: 'staged', dataId: data.dataId });
    }
  } catch (error) {
    for (const writer of writers.values()) writer.abort();
    throw error;
  }
  return rebuilt;
}

function giveBlock(writer: StageWriter, index: number, block: MadeBlock): Promise<void> {
  return new Promise((resolve) => writer.write({ index, ...block }, resolve));
}

/** Copies out of the arena: at most a few blocks at a time, and nobody has to say when they are done with them. */
function makeBlocks(
  deps: RebuildDeps,
  data: StoredData,
  stripe: { index: number; blockBytes: number; wanted: readonly number[] },
  present: GoodBlock[],
): Map<number, MadeBlock> {
  const { kernels } = deps;
  const slabs = stripe.wanted.map((shard) => ({ shard, slab: kernels.arena.take(stripe.blockBytes) }));
  try {
    const missing = slabs.filter(({ shard }) => !present.some((block) => block.shard === shard));
    if (missing.length > 0) {
      kernels.code(data.set.drives.length).reconstruct(
        present.slice(0, readQuorum(data.set.drives.length)),
        missing.map(({ shard, slab }) => ({ shard, at: slab.at })),
        stripe.blockBytes,
      );
    }
    return new Map(
      slabs.map(({ shard, slab }): [number, MadeBlock] => {
        const known = present.find((block) => block.shard === shard);
        const payload = Buffer.from(known?.payload ?? slab.bytes.subarray(0, stripe.blockBytes));
        const seed = blockSeed(data.dataId, shard, stripe.index);
        const checksum = kernels.xxh64(known?.at ?? slab.at, stripe.blockBytes, seed);
        return [shard, { payload, checksum }];
      }),
    );
  } finally {
    for (const { slab } of slabs) slab.release();
    for (const block of present) block.release();
  }
}
