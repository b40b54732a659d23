import { createKernels } from '../../../storage-node/erasure/kernels.ts';
import { blockSeed } from '../../../storage-node/store/block.ts';
import {
  type AcceptRequest,
  type DataId,
  type DriveApi,
  type LearnRequest,
  type ScanRequest,
  type ShardPut,
  type StageWriter,
} from '../../../storage-node/store/drive-api.ts';

export const kernels = createKernels();

/** A key of bucket 1. */
export function keyOf(name: string, bucket = 1): Buffer {
  return Buffer.concat([Buffer.alloc(7), Buffer.from([bucket]), Buffer.from('k'), Buffer.from(name)]);
}

export const bucketId = keyOf('').subarray(0, 8);

export function dataIdOf(number: number): DataId {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(number, 4);
  id.writeUInt32BE(Math.imul(number, 0x9e37_79b1) >>> 0, 8);
  return id;
}

/** Bytes that follow from the data id, so that wrong ones are seen. */
export function payloadOf(dataId: DataId, length: number, index = 0): Buffer {
  const bytes = Buffer.alloc(length);
  const seed = Buffer.from(dataId).readUInt32BE(4) * 31 + index * 7;
  for (let i = 0; i < length; i++) bytes[i] = (seed + i * 13 + (i >> 8)) & 0xff;
  return bytes;
}

export function small(dataId: DataId, length = 100, shard = 1): ShardPut {
  const payload = payloadOf(dataId, length);
  return { kind: 'small', dataId, shard, payload, checksum: kernels.xxh64Of(payload, blockSeed(dataId, shard, 0)) };
}

export function acceptOf(key: Uint8Array, ballot: number, more: Partial<AcceptRequest> = {}): AcceptRequest {
  return {
    ...{ key, ballot, siteEpoch: 0, fromClient: true, bucketGeneration: 0, tombstone: false, hidden: false },
    ...{ state: Buffer.from(`state ${ballot}`), headData: undefined, puts: [], frees: [], keeps: [], cancels: [] },
    base: 0,
    change: undefined,
    ...more,
  };
}

export function learnOf(key: Uint8Array, ballot: number, more: Partial<LearnRequest> = {}): LearnRequest {
  const {
    siteEpoch: _epoch,
    fromClient: _client,
    bucketGeneration: _generation,
    base: _base,
    ...rest
  } = acceptOf(key, ballot, more);
  return rest;
}

export function scanOf(more: Partial<ScanRequest> = {}): ScanRequest {
  return {
    ...{ prefix: keyOf(''), after: undefined, delimiter: undefined, limit: 1000 },
    ...{ skipTombstones: true, skipHidden: true },
    ...more,
  };
}

/** Prepares and accepts; throws when the drive refuses. */
export async function put(drive: DriveApi, request: AcceptRequest): Promise<void> {
  const promised = await drive.prepare({ key: request.key, ballot: request.ballot });
  if (promised.kind !== 'promised') throw new Error(`ballot ${request.ballot} was outbid by ${promised.promised}`);
  const reply = await drive.accept(request);
  if (reply.kind !== 'accepted') throw new Error(`ballot ${request.ballot} was not accepted: ${reply.kind}`);
}

export function writeBlock(writer: StageWriter, of: { dataId: DataId; shard: number }, block: [number, number]): void {
  const [index, length] = block;
  const payload = payloadOf(of.dataId, length, index);
  const checksum = kernels.xxh64Of(payload, blockSeed(of.dataId, of.shard, index));
  writer.write({ index, payload, checksum }, () => {});
}

/** Stages blocks of these lengths and waits until they are durable. */
export async function stage(
  drive: DriveApi,
  dataId: DataId,
  lengths: readonly number[],
  more: { shard?: number; declare?: boolean } = {},
): Promise<StageWriter> {
  const shard = more.shard ?? 1;
  const expectedBytes = more.declare === false ? undefined : lengths.reduce((sum, length) => sum + length, 0);
  const writer = drive.stage({ dataId, shard, expectedBytes });
  lengths.forEach((length, index) => writeBlock(writer, { dataId, shard }, [index, length]));
  await writer.finish();
  return writer;
}

/** The payloads of some blocks; throws when they are not there or not what was written. */
export async function readAll(drive: DriveApi, dataId: DataId, lengths: readonly number[]): Promise<void> {
  const reply = await drive.readBlocks({ dataId, first: 0, count: lengths.length });
  if (reply.kind !== 'blocks') throw new Error(`the blocks are ${reply.kind}`);
  for (const { index, payload, checksum } of reply.blocks) {
    if (kernels.xxh64Of(payload, blockSeed(dataId, reply.shard, index)) !== checksum) throw new Error('wrong checksum');
    if (!payloadOf(dataId, lengths[index]!, index).equals(payload)) throw new Error('wrong bytes');
  }
  if (reply.blocks.length !== lengths.length) throw new Error(`${reply.blocks.length} blocks of ${lengths.length}`);
  reply.release();
}
