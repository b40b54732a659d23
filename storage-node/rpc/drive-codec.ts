/** The calls of a drive that carry registers and shards, as messages. */
import {
  type AcceptReply,
  type AcceptRequest,
  type DataCheck,
  type DataId,
  type DecideRequest,
  fenceReasons,
  type IndexKey,
  type LearnReply,
  type LearnRequest,
  type PrepareReply,
  type PrepareRequest,
  type ReadReply,
  type ReadRequest,
  type ShardPut,
  type SmallShard,
} from '../store/drive-api.ts';
import { type Ballot } from '../consensus/ballot.ts';
import { type CallCodec, quickRead, small } from './call-codec.ts';
import { methodIds } from './methods.ts';
import {
  readDataIds,
  readHeldRegister,
  readPreparedRegister,
  readKeyBallot,
  readRegister,
  readOneOf,
  readShardPut,
  readSmallShard,
  writeDataIds,
  writeHeldRegister,
  writePreparedRegister,
  writeKeyBallot,
  writeRegister,
  writeShardPut,
  writeSmallShard,
} from './register-codec.ts';
import { type WireReader, type WireWriter } from './wire.ts';

export const readCall: CallCodec<ReadRequest, ReadReply> = {
  ...quickRead,
  method: methodIds.read,
  writeRequest(writer, { key, withHead }) {
    writer.bytes(key);
    writer.boolean(withHead);
  },
  readRequest: (reader) => ({ key: reader.bytes(), withHead: reader.boolean() }),
  writeReply(writer, reply) {
    writeRegister(writer, reply);
    writer.list(reply.older, writeHeldRegister);
    writer.boolean(reply.head !== undefined);
    if (reply.head !== undefined) writeSmallShard(writer, reply.head);
  },
  readReply(reader) {
    const { ballot, decided, tombstone, hidden, state } = readRegister(reader);
    const older = reader.list(readHeldRegister);
    const head = reader.boolean() ? readSmallShard(reader) : undefined;
    return { ballot, decided, tombstone, hidden, state, older, head };
  },
};

export const prepareCall: CallCodec<PrepareRequest, PrepareReply> = {
  ...small,
  method: methodIds.prepare,
  writeRequest: writeKeyBallot,
  readRequest: readKeyBallot,
  writeReply(writer, reply) {
    writer.boolean(reply.kind === 'promised');
    if (reply.kind === 'outbid') writer.ballot(reply.promised);
    writePreparedRegister(writer, reply.register);
  },
  readReply(reader) {
    if (reader.boolean()) return { kind: 'promised', register: readPreparedRegister(reader) };
    const promised = reader.ballot();
    return { kind: 'outbid', promised, register: readPreparedRegister(reader) };
  },
};

/** What `accept` and `learn` have in common. */
function writeValue(writer: WireWriter, request: LearnRequest): void {
  writer.bytes(request.key);
  writer.ballot(request.ballot);
  writer.byte((request.tombstone ? 1 : 0) | (request.hidden ? 2 : 0));
  writer.bytes(request.state);
  writer.optionalBytes(request.headData);
  writer.list(request.puts, writeShardPut);
  writeDataIds(writer, request.frees);
  writeDataIds(writer, request.keeps);
  writer.list(request.cancels, (to, ballot) => to.ballot(ballot));
  writer.optionalBytes(request.change?.note);
}
function readValue(reader: WireReader): LearnRequest {
  const key = reader.bytes();
  const ballot = reader.ballot();
  const flags = readOneOf(reader, [0, 1, 2, 3]);
  const state = reader.bytes();
  const headData = reader.optionalBytes();
  const puts = reader.list(readShardPut);
  const frees = readDataIds(reader);
  const keeps = readDataIds(reader);
  const cancels = reader.list((from) => from.ballot());
  const note = reader.optionalBytes();
  const change = note === undefined ? undefined : { note };
  const tombstone = (flags & 1) !== 0;
  const hidden = (flags & 2) !== 0;
  return { key, ballot, tombstone, hidden, state, headData, puts, frees, keeps, cancels, change };
}

const acceptKinds = ['accepted', 'outbid', 'fenced', 'bucket-changed', 'no-data', 'full'] as const;

export const acceptCall: CallCodec<AcceptRequest, AcceptReply> = {
  ...small,
  method: methodIds.accept,
  writeRequest(writer, request) {
    writer.count(request.siteEpoch);
    writer.boolean(request.fromClient);
    writer.count(request.bucketGeneration);
    writer.ballot(request.base);
    writeValue(writer, request);
  },
  readRequest(reader) {
    const siteEpoch = reader.count();
    const fromClient = reader.boolean();
    const bucketGeneration = reader.count();
    const base = reader.ballot();
    return { ...readValue(reader), siteEpoch, fromClient, bucketGeneration, base };
  },
  writeReply(writer, reply) {
    writer.byte(acceptKinds.indexOf(reply.kind));
    if (reply.kind === 'outbid') writer.ballot(reply.promised);
    if (reply.kind === 'fenced') {
      writer.count(reply.siteEpoch);
      writer.boolean(reply.fenced);
      writer.byte(fenceReasons.indexOf(reply.why));
    }
    if (reply.kind === 'bucket-changed') {
      writer.count(reply.generation);
      writer.boolean(reply.sealed);
    }
  },
  readReply(reader) {
    const kind = readOneOf(reader, acceptKinds);
    switch (kind) {
      case 'outbid':
        return { kind, promised: reader.ballot() };
      case 'fenced':
        return {
          ...{ kind, siteEpoch: reader.count(), fenced: reader.boolean() },
          why: readOneOf(reader, fenceReasons),
        };
      case 'bucket-changed':
        return { kind, generation: reader.count(), sealed: reader.boolean() };
      case 'accepted':
      case 'no-data':
      case 'full':
        return { kind };
    }
  },
};

const learnKinds = ['learned', 'newer', 'no-data', 'full'] as const;

export const learnCall: CallCodec<LearnRequest, LearnReply> = {
  ...small,
  method: methodIds.learn,
  writeRequest: writeValue,
  readRequest: readValue,
  writeReply(writer, reply) {
    writer.byte(learnKinds.indexOf(reply.kind));
    if (reply.kind === 'newer') writer.ballot(reply.ballot);
  },
  readReply(reader) {
    const kind = readOneOf(reader, learnKinds);
    return kind === 'newer' ? { kind, ballot: reader.ballot() } : { kind };
  },
};

export const readSmallCall: CallCodec<readonly DataId[], SmallShard[]> = {
  ...quickRead,
  method: methodIds.readSmall,
  writeRequest: writeDataIds,
  readRequest: readDataIds,
  writeReply: (writer, shards) => writer.list(shards, writeSmallShard),
  readReply: (reader) => reader.list(readSmallShard),
};

export interface CheckDataRequest {
  dataIds: readonly DataId[];
  verify: boolean;
}
const checks = ['ok', 'missing', 'damaged', 'staged'] as const;

export const checkDataCall: CallCodec<CheckDataRequest, DataCheck[]> = {
  ...small,
  method: methodIds.checkData,
  writeRequest(writer, { dataIds, verify }) {
    writeDataIds(writer, dataIds);
    writer.boolean(verify);
  },
  readRequest: (reader) => ({ dataIds: readDataIds(reader), verify: reader.boolean() }),
  writeReply: (writer, reply) => writer.list(reply, (to, check) => to.byte(checks.indexOf(check))),
  readReply: (reader) => reader.list((from) => readOneOf(from, checks)),
};

export interface RepairRequest {
  key: IndexKey;
  ballot: Ballot;
  puts: readonly ShardPut[];
}

export const repairCall: CallCodec<RepairRequest, boolean> = {
  ...small,
  method: methodIds.repair,
  writeRequest(writer, request) {
    writeKeyBallot(writer, request);
    writer.list(request.puts, writeShardPut);
  },
  readRequest: (reader) => ({ ...readKeyBallot(reader), puts: reader.list(readShardPut) }),
  writeReply: (writer, done) => writer.boolean(done),
  readReply: (reader) => reader.boolean(),
};

/** The body of the one-way `decide`. */
export const decides = {
  write: (writer: WireWriter, requests: readonly DecideRequest[]): void => writer.list(requests, writeKeyBallot),
  read: (reader: WireReader): DecideRequest[] => reader.list(readKeyBallot),
};
