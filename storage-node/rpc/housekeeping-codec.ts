/** The calls of a drive that list, agree and look after things, as messages. */
import { type Ballot } from '../consensus/ballot.ts';
import {
  type BucketGuard,
  type DecideRequest,
  type DriveStat,
  type LogRequest,
  type LogRow,
  type ScanDigest,
  type PackedScan,
  type ScanPage,
  type ScanRequest,
  type SiteState,
} from '../store/drive-api.ts';
import { type CallCodec, small } from './call-codec.ts';
import { methodIds } from './methods.ts';
import { readKeyBallot, readOneOf, readScanRow, writeKeyBallot, writeScanRow } from './register-codec.ts';
import { type WireReader, type WireWriter } from './wire.ts';

function writeScanRequest(writer: WireWriter, request: ScanRequest): void {
  writer.bytes(request.prefix);
  writer.optionalBytes(request.after);
  writer.optionalBytes(request.delimiter);
  writer.count(request.limit);
  writer.boolean(request.skipTombstones);
  writer.boolean(request.skipHidden);
}
function readScanRequest(reader: WireReader): ScanRequest {
  return {
    prefix: reader.bytes(),
    after: reader.optionalBytes(),
    delimiter: reader.optionalBytes(),
    limit: reader.count(),
    skipTombstones: reader.boolean(),
    skipHidden: reader.boolean(),
  };
}

export const scanCall: CallCodec<ScanRequest, ScanPage> = {
  ...small,
  method: methodIds.scan,
  writeRequest: writeScanRequest,
  readRequest: readScanRequest,
  writeReply(writer, page) {
    writer.list(page.rows, writeScanRow);
    writer.list(page.rollups, (to, rollup) => to.bytes(rollup));
    writer.optionalBytes(page.next);
  },
  readReply: (reader) => ({
    rows: reader.list(readScanRow),
    rollups: reader.list((from) => from.bytes()),
    next: reader.optionalBytes(),
  }),
};

export const scanDigestCall: CallCodec<ScanRequest, ScanDigest> = {
  ...small,
  method: methodIds.scanDigest,
  writeRequest: writeScanRequest,
  readRequest: readScanRequest,
  writeReply: writeScanDigest,
  readReply: readScanDigest,
};

export const scanPackedCall: CallCodec<ScanRequest, PackedScan> = {
  ...small,
  method: methodIds.scanPacked,
  writeRequest: writeScanRequest,
  readRequest: readScanRequest,
  writeReply(writer, reply) {
    writeScanDigest(writer, reply);
    writer.bytes(reply.entries);
  },
  readReply: (reader) => ({ ...readScanDigest(reader), entries: reader.bytes() }),
};

function writeScanDigest(writer: WireWriter, reply: ScanDigest): void {
  writer.bytes(reply.digest);
  writer.count(reply.rows);
  writer.optionalBytes(reply.next);
  writer.boolean(reply.undecided);
}
function readScanDigest(reader: WireReader): ScanDigest {
  return {
    digest: reader.bytes(),
    rows: reader.count(),
    next: reader.optionalBytes(),
    undecided: reader.boolean(),
  };
}

export const logCall: CallCodec<LogRequest, LogRow[]> = {
  ...small,
  method: methodIds.log,
  writeRequest(writer, { bucketId, after, upTo, limit }) {
    writer.bytes(bucketId);
    writer.ballot(after);
    writer.ballot(upTo);
    writer.count(limit);
  },
  readRequest: (reader) => ({
    bucketId: reader.bytes(),
    after: reader.ballot(),
    upTo: reader.ballot(),
    limit: reader.count(),
  }),
  writeReply: (writer, rows) =>
    writer.list(rows, (to, { key, ballot, note, decided }) => {
      to.bytes(key);
      to.ballot(ballot);
      to.bytes(note);
      to.boolean(decided);
    }),
  readReply: (reader) =>
    reader.list((from) => ({
      key: from.bytes(),
      ballot: from.ballot(),
      note: from.bytes(),
      decided: from.boolean(),
    })),
};

export const raiseFloorCall: CallCodec<Ballot, Ballot> = {
  ...small,
  method: methodIds.raiseFloor,
  writeRequest: (writer, ballot) => writer.ballot(ballot),
  readRequest: (reader) => reader.ballot(),
  writeReply: (writer, ballot) => writer.ballot(ballot),
  readReply: (reader) => reader.ballot(),
};

export const forgetCall: CallCodec<DecideRequest, boolean> = {
  ...small,
  method: methodIds.forget,
  writeRequest: writeKeyBallot,
  readRequest: readKeyBallot,
  writeReply: (writer, done) => writer.boolean(done),
  readReply: (reader) => reader.boolean(),
};

export const siteStateCall: CallCodec<undefined, SiteState> = {
  ...small,
  method: methodIds.siteState,
  writeRequest: () => {},
  readRequest: () => undefined,
  writeReply: writeSiteState,
  readReply: readSiteState,
};

export const setSiteStateCall: CallCodec<SiteState, SiteState> = {
  ...small,
  method: methodIds.setSiteState,
  writeRequest: writeSiteState,
  readRequest: readSiteState,
  writeReply: writeSiteState,
  readReply: readSiteState,
};

export const guardBucketCall: CallCodec<BucketGuard, BucketGuard> = {
  ...small,
  method: methodIds.guardBucket,
  writeRequest: writeGuard,
  readRequest: readGuard,
  writeReply: writeGuard,
  readReply: readGuard,
};

const driveStates = ['ok', 'full', 'stopped'] as const;

export const statCall: CallCodec<undefined, DriveStat> = {
  ...small,
  method: methodIds.stat,
  writeRequest: () => {},
  readRequest: () => undefined,
  writeReply(writer, stat) {
    writer.text(stat.driveId);
    writer.byte(driveStates.indexOf(stat.state));
    writer.optionalText(stat.reason);
    for (const figure of statFigures) writer.count(stat[figure]);
  },
  readReply(reader) {
    const driveId = reader.text();
    const state = readOneOf(reader, driveStates);
    const reason = reader.optionalText();
    const figures = Object.fromEntries(statFigures.map((figure) => [figure, reader.count()])) as StatFigures;
    return { driveId, state, reason, ...figures };
  },
};

type StatFigures = Omit<DriveStat, 'driveId' | 'state' | 'reason'>;
const statFigures = [
  'totalBytes',
  'freeBytes',
  'indexBytes',
  'segmentBytes',
  'liveBytes',
  'registers',
  'quarantined',
  'undecided',
] as const satisfies readonly (keyof StatFigures)[];

function writeSiteState(writer: WireWriter, { epoch, fenced, leased }: SiteState): void {
  writer.count(epoch);
  writer.boolean(fenced);
  writer.boolean(leased);
}
function readSiteState(reader: WireReader): SiteState {
  return { epoch: reader.count(), fenced: reader.boolean(), leased: reader.boolean() };
}

function writeGuard(writer: WireWriter, { bucketId, generation, sealed }: BucketGuard): void {
  writer.bytes(bucketId);
  writer.count(generation);
  writer.boolean(sealed);
}
function readGuard(reader: WireReader): BucketGuard {
  return { bucketId: reader.bytes(), generation: reader.count(), sealed: reader.boolean() };
}
