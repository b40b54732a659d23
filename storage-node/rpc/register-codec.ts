/** Registers, shards and what is put on drives, as fields of messages. */
import {
  type DataId,
  type DecideRequest,
  type HeldRegister,
  type PreparedRegister,
  type Register,
  type ScanRow,
  type ShardPut,
  type SmallShard,
} from '../store/drive-api.ts';
import { WireError, type WireReader, type WireWriter } from './wire.ts';

const decidedFlag = 1;
const tombstoneFlag = 2;
const hiddenFlag = 4;

export function writeRegister(writer: WireWriter, register: Register): void {
  const { decided, tombstone, hidden } = register;
  writer.ballot(register.ballot);
  writer.byte((decided ? decidedFlag : 0) | (tombstone ? tombstoneFlag : 0) | (hidden ? hiddenFlag : 0));
  writer.bytes(register.state);
}
export function readRegister(reader: WireReader): Register {
  const ballot = reader.ballot();
  const flags = reader.byte();
  if (flags > 7) throw new WireError(`a register's flags ${flags}`);
  return {
    ballot,
    decided: (flags & decidedFlag) !== 0,
    tombstone: (flags & tombstoneFlag) !== 0,
    hidden: (flags & hiddenFlag) !== 0,
    state: reader.bytes(),
  };
}

export function writePreparedRegister(writer: WireWriter, register: PreparedRegister): void {
  writeHeldRegister(writer, register);
  writer.list(register.older, writeHeldRegister);
}
export function readPreparedRegister(reader: WireReader): PreparedRegister {
  return { ...readHeldRegister(reader), older: reader.list(readHeldRegister) };
}

export function writeHeldRegister(writer: WireWriter, register: HeldRegister): void {
  writeRegister(writer, register);
  writer.optionalBytes(register.headData);
  writer.optionalBytes(register.note);
}
export function readHeldRegister(reader: WireReader): HeldRegister {
  return { ...readRegister(reader), headData: reader.optionalBytes(), note: reader.optionalBytes() };
}

export function writeScanRow(writer: WireWriter, row: ScanRow): void {
  writer.bytes(row.key);
  writeRegister(writer, row);
}
export function readScanRow(reader: WireReader): ScanRow {
  const key = reader.bytes();
  const { ballot, decided, tombstone, hidden, state } = readRegister(reader);
  return { key, ballot, decided, tombstone, hidden, state };
}

export function writeKeyBallot(writer: WireWriter, { key, ballot }: DecideRequest): void {
  writer.bytes(key);
  writer.ballot(ballot);
}
export function readKeyBallot(reader: WireReader): DecideRequest {
  return { key: reader.bytes(), ballot: reader.ballot() };
}

const shardKinds = ['shard', 'missing', 'damaged'] as const;

export function writeSmallShard(writer: WireWriter, shard: SmallShard): void {
  writer.byte(shardKinds.indexOf(shard.kind));
  writer.bytes(shard.dataId);
  if (shard.kind !== 'shard') return;
  writer.count(shard.shard);
  writer.checksum(shard.checksum);
  writer.bytes(shard.payload);
}
export function readSmallShard(reader: WireReader): SmallShard {
  const kind = readOneOf(reader, shardKinds);
  const dataId = reader.bytes();
  if (kind !== 'shard') return { kind, dataId };
  const shard = reader.count();
  const checksum = reader.checksum();
  return { kind, dataId, shard, payload: reader.bytes(), checksum };
}

export function writeShardPut(writer: WireWriter, put: ShardPut): void {
  writer.boolean(put.kind === 'small');
  writer.bytes(put.dataId);
  if (put.kind === 'staged') return;
  writer.count(put.shard);
  writer.checksum(put.checksum);
  writer.bytes(put.payload);
}
export function readShardPut(reader: WireReader): ShardPut {
  const small = reader.boolean();
  const dataId = reader.bytes();
  if (!small) return { kind: 'staged', dataId };
  const shard = reader.count();
  const checksum = reader.checksum();
  return { kind: 'small', dataId, shard, payload: reader.bytes(), checksum };
}

export function writeDataIds(writer: WireWriter, dataIds: readonly DataId[]): void {
  writer.list(dataIds, (to, dataId) => to.bytes(dataId));
}
export function readDataIds(reader: WireReader): DataId[] {
  return reader.list((from) => from.bytes());
}

/** Reads the position of a value in a list that both sides know. */
export function readOneOf<const T>(reader: WireReader, values: readonly T[]): T {
  const position = reader.byte();
  const value = values[position];
  if (value === undefined) throw new WireError(`${position} stands for nothing here`);
  return value;
}
