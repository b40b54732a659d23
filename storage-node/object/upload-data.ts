import { type Kernels, type Md5Stream } from '../erasure/types.ts';
import { shardBytes } from '../erasure/geometry.ts';
import { StorageError } from '../errors.ts';
import { type Env } from '../ports.ts';
import { blockSeed } from '../store/block.ts';
import { type DataId, maxSmallShardBytes, type ShardPut } from '../store/drive-api.ts';
import { type ErasureSet, readQuorum } from '../store/set.ts';
import { shardAt } from './placement.ts';
import { createShardWriter, type ShardWriter } from './shard-writer.ts';
import { createStripeFiller, type Stripe } from './stripe.ts';

/** Largest data of one part or object: 5 TiB as in S3. */
export const maxDataBytes = 5 * 1024 ** 4;

/** Where the shards of received data are, ready to be named by a register. */
export interface ReceivedData {
  dataId: DataId;
  md5: Uint8Array;
  sizeBytes: number;
  small: boolean;
  /** For the accept of the drive at this place. Empty for empty data. */
  puts: (position: number) => readonly ShardPut[];
}

/** Takes bytes, cuts, codes and sends them to the drives of a set. Nothing is visible: a register must name it. */
export interface DataUpload {
  write(chunk: Uint8Array): boolean;
  onDrain: (() => void) | undefined;
  /** Resolves when what was given is coded and, if staged, durable on a write quorum. */
  end(): Promise<ReceivedData>;
  abort(): void;
}

export interface DataUploadDeps {
  env: Env;
  kernels: Kernels;
  writeDeadlineMs: number;
}

export interface DataUploadInput {
  set: ErasureSet;
  dataId: DataId;
  expectedBytes: number | undefined;
}

/** Objects that fit here travel inside the accept; larger ones are staged. */
export function isSmall(sizeBytes: number, setSize: number): boolean {
  return shardBytes(sizeBytes, readQuorum(setSize)) <= maxSmallShardBytes;
}

export function createDataUpload(deps: DataUploadDeps, input: DataUploadInput): DataUpload {
  const { kernels } = deps;
  const size = input.set.drives.length;
  const shards = { data: readQuorum(size), parity: size - readQuorum(size) };
  const code = kernels.code(size);
  const filler = createStripeFiller(kernels.arena, shards, input.expectedBytes);
  const shardOf = (position: number): number => shardAt(input.dataId, position, size);
  const md5 = kernels.md5();
  let sizeBytes = 0;
  let writer: ShardWriter | undefined;
  let ended = false;
  /** A small object whose size was known fills its stripe exactly; it must not be staged. */
  let held: Stripe | undefined;
  const isSmallWhole = (stripe: Stripe): boolean =>
    stripe.index === 0 && stripe.length === input.expectedBytes && isSmall(stripe.length, size);

  const openWriter = (): ShardWriter => {
    const expected = input.expectedBytes;
    const opened = createShardWriter({
      set: input.set,
      dataId: input.dataId,
      shardAt: shardOf,
      expectedShardBytes: expected === undefined ? undefined : shardBytes(expected, shards.data),
      clock: deps.env.clock,
      deadlineMs: deps.writeDeadlineMs,
    });
    opened.onRoom = () => self.onDrain?.();
    return opened;
  };
  const encode = (stripe: Stripe): void => {
    const addresses = Array.from({ length: size }, (_, shard) => stripe.slab.at + stripe.offsetOf(shard));
    code.encode(addresses.slice(0, shards.data), addresses.slice(shards.data), stripe.blockBytes);
  };
  const checksumOf = (stripe: Stripe, shard: number): bigint =>
    kernels.xxh64(
      stripe.slab.at + stripe.offsetOf(shard),
      stripe.blockBytes,
      blockSeed(input.dataId, shard, stripe.index),
    );
  const stageStripe = (stripe: Stripe): void => {
    digestStripe(md5, stripe, shards.data);
    encode(stripe);
    writer ??= openWriter();
    writer.write(stripe, (shard) => checksumOf(stripe, shard));
    stripe.drop();
  };
  const smallPuts = (stripe: Stripe): ((position: number) => readonly ShardPut[]) => {
    digestStripe(md5, stripe, shards.data);
    encode(stripe);
    const copies = Array.from({ length: size }, (_, shard) => copyShard(stripe, shard, checksumOf(stripe, shard)));
    stripe.drop();
    return (position) => {
      const { payload, checksum } = copies[shardOf(position)]!;
      return [{ kind: 'small', dataId: input.dataId, shard: shardOf(position), payload, checksum }];
    };
  };
  const self: DataUpload = {
    onDrain: undefined,
    write(chunk) {
      sizeBytes += chunk.length;
      if (held !== undefined && chunk.length > 0)
        throw new StorageError('InvalidArgument', 'more bytes came than declared');
      if (sizeBytes > maxDataBytes) throw new StorageError('EntityTooLarge', 'the upload is larger than 5 TiB');
      for (let from = 0; from < chunk.length;) {
        const { taken, full } = filler.take(chunk, from);
        from += taken;
        if (full !== undefined) {
          if (isSmallWhole(full)) held = full;
          else stageStripe(full);
        }
      }
      return writer?.hasRoom() ?? true;
    },
    async end() {
      ended = true;
      const last = held ?? filler.rest();
      held = undefined;
      const result = { dataId: input.dataId, sizeBytes };
      if (writer === undefined && (last === undefined || isSmall(sizeBytes, size))) {
        const puts = last === undefined ? () => [] : smallPuts(last);
        return { ...result, md5: await md5.digest(), small: true, puts };
      }
      if (last !== undefined) stageStripe(last);
      const [digest] = await Promise.all([md5.digest(), writer!.finish()]);
      const staged: readonly ShardPut[] = [{ kind: 'staged', dataId: input.dataId }];
      return { ...result, md5: digest, small: false, puts: () => staged };
    },
    abort() {
      if (!ended) {
        md5.abort();
        held?.drop();
        held = undefined;
        filler.abort();
      }
      writer?.abort();
    },
  };
  return self;
}

function digestStripe(md5: Md5Stream, stripe: Stripe, dataShards: number): void {
  let left = stripe.length;
  for (let shard = 0; shard < dataShards && left > 0; shard++) {
    const length = Math.min(left, stripe.blockBytes);
    stripe.hold();
    md5.update(stripe.slab, stripe.offsetOf(shard), length, stripe.drop);
    left -= length;
  }
}

/** Copied out of the arena: a slow drive may hold on to its message long after the slab is used for something else. */
function copyShard(stripe: Stripe, shard: number, checksum: bigint): { payload: Uint8Array; checksum: bigint } {
  const at = stripe.offsetOf(shard);
  const payload = Buffer.allocUnsafe(stripe.blockBytes);
  payload.set(stripe.slab.bytes.subarray(at, at + stripe.blockBytes));
  return { payload, checksum };
}
