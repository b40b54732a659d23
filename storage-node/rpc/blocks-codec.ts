/** The calls about bulk: its blocks travel in frames of their own, beside the messages written here. */
import { type BlocksReply, type BlocksRequest, type DataId, type StageRequest } from '../store/drive-api.ts';
import { type CallCodec } from './call-codec.ts';
import { methodIds } from './methods.ts';
import { readDataIds, readOneOf, writeDataIds } from './register-codec.ts';
import { WireError, type WireReader, type WireWriter } from './wire.ts';

export function writeStageRequest(writer: WireWriter, request: StageRequest): void {
  writer.bytes(request.dataId);
  writer.count(request.shard);
  writer.boolean(request.expectedBytes !== undefined);
  if (request.expectedBytes !== undefined) writer.count(request.expectedBytes);
}
export function readStageRequest(reader: WireReader): StageRequest {
  const dataId = reader.bytes();
  const shard = reader.count();
  return { dataId, shard, expectedBytes: reader.boolean() ? reader.count() : undefined };
}

export function writeBlocksRequest(writer: WireWriter, request: BlocksRequest): void {
  writer.bytes(request.dataId);
  writer.count(request.first);
  writer.count(request.count);
}
export function readBlocksRequest(reader: WireReader): BlocksRequest {
  return { dataId: reader.bytes(), first: reader.count(), count: reader.count() };
}

const blocksKinds = ['blocks', 'missing', 'damaged'] as const;

/** An answer without its blocks, which follow: their number instead. */
export type BlocksHead = { kind: 'blocks'; shard: number; count: number } | { kind: 'missing' | 'damaged' };

export function writeBlocksHead(writer: WireWriter, reply: BlocksReply): void {
  writer.byte(blocksKinds.indexOf(reply.kind));
  if (reply.kind !== 'blocks') return;
  writer.count(reply.shard);
  writer.count(reply.blocks.length);
}
export function readBlocksHead(reader: WireReader): BlocksHead {
  const kind = readOneOf(reader, blocksKinds);
  return kind === 'blocks' ? { kind, shard: reader.count(), count: reader.count() } : { kind };
}

/** What precedes a block's bytes: its index and checksum, always 12 bytes. */
export function readBlockBody(body: Buffer): { index: number; checksum: bigint } {
  if (body.length !== 12) throw new WireError('a block without its index and checksum');
  return { index: body.readUInt32LE(0), checksum: body.readBigUInt64LE(4) };
}

export interface PinRequest {
  /** Chosen by the caller, unique on its connection. */
  pin: number;
  dataIds: readonly DataId[];
}
export function writePin(writer: WireWriter, { pin, dataIds }: PinRequest): void {
  writer.count(pin);
  writeDataIds(writer, dataIds);
}
export function readPin(reader: WireReader): PinRequest {
  return { pin: reader.count(), dataIds: readDataIds(reader) };
}

/** On the way of the stage itself, so that it comes behind whatever was sent of it. */
export const unstageCall: CallCodec<DataId, undefined> = {
  ...{ channel: 'bulk', isRead: false },
  method: methodIds.unstage,
  writeRequest: (writer, dataId) => writer.bytes(dataId),
  readRequest: (reader) => reader.bytes(),
  writeReply: () => {},
  readReply: () => undefined,
};
