/**
 * What a drive does for the cluster, as messages. One interface, four makers: the drive itself (`drive.ts`), the RPC
 * stub of a drive on another node (`../rpc/remote-drive.ts`), and the simulated network's wrapper around either.
 *
 * A drive is an acceptor: it keeps one register per key (see docs/storage.md, "Consensus per key") and the shards that
 * registers refer to. It knows nothing of versions, parts or buckets: keys and states are bytes to it.
 */
import { type Ballot } from '../consensus/ballot.ts';

/**
 * Key of a register: bucket id (8 bytes), namespace (1 byte), then the name's bytes. Ordered as bytes.
 * At most `maxIndexKeyBytes` long. Made by `../object/keys.ts` only.
 */
export type IndexKey = Uint8Array;
export const bucketIdBytes = 8;
/** 1024 bytes of object key, and what multipart uploads add to it. */
export const maxIndexKeyBytes = 1200;

/** Name of one stretch of object data (a part, or a whole small object), 16 bytes, unique for ever, growing with time. */
export type DataId = Uint8Array;
export const dataIdBytes = 16;

/** Shards up to this size are "small": they travel inside `accept` and come back with `read`. */
export const maxSmallShardBytes = 128 * 1024;

/** The register as one drive has it. `ballot` 0: the drive has never accepted anything for this key. */
export interface Register {
  ballot: Ballot;
  /** The drive knows that this ballot was chosen by a write quorum. */
  decided: boolean;
  /** No live value: a tombstone. It still out-votes older values. */
  tombstone: boolean;
  /** Not listed as a current object though versions exist: the newest version is a delete marker. */
  hidden: boolean;
  /** Opaque; empty for a tombstone or for ballot 0. */
  state: Uint8Array;
}

/**
 * A register with what lies under it. A newer value may turn out never to have been chosen, so what it replaced is kept
 * until the newer one is decided: otherwise a few writers that fail half-way, each on other drives, could together
 * cover up a value that was acknowledged.
 */
export interface LayeredRegister extends Register {
  /** What the drive had accepted before, newest first, down to the newest it knows to be decided. Empty if decided. */
  older: readonly HeldRegister[];
}

/** One shard's block with the checksum it was stored with. Whoever uses the payload verifies it first (`block.ts`). */
export interface ShardBlock {
  index: number;
  payload: Uint8Array;
  checksum: bigint;
}

/** A small shard: one block, index 0. `missing`: the drive has no such data; `damaged`: it has, and it cannot be read. */
export type SmallShard =
  | { kind: 'shard'; dataId: DataId; shard: number; payload: Uint8Array; checksum: bigint }
  | { kind: 'missing' | 'damaged'; dataId: DataId };

export interface ReadRequest {
  key: IndexKey;
  /** Also return the small shard named by the register's `headData`, if there is one. */
  withHead: boolean;
}
export interface ReadReply extends LayeredRegister {
  head: SmallShard | undefined;
}

export interface PrepareRequest {
  key: IndexKey;
  ballot: Ballot;
}
/** The register as a proposer needs it, to carry an undecided value through a round of its own. */
export interface HeldRegister extends Register {
  headData: DataId | undefined;
  /** The change log's note of this ballot; may be left out when the ballot is decided. */
  note: Uint8Array | undefined;
}
export type PreparedRegister = HeldRegister & LayeredRegister;
/** `promised`: no smaller ballot will be accepted for this key from now on. `outbid`: already promised `promised`. */
export type PrepareReply =
  { kind: 'promised'; register: PreparedRegister } | { kind: 'outbid'; promised: Ballot; register: PreparedRegister };

/** Shard data that a register's new state refers to and the drive has not had before. */
export type ShardPut =
  | { kind: 'staged'; dataId: DataId }
  | { kind: 'small'; dataId: DataId; shard: number; payload: Uint8Array; checksum: bigint };

/** What the change log of a bucket says of a write. Undefined where a write is no event (uploads, parts, buckets). */
export interface ChangeNote {
  /** Opaque to the drive; encoded by `../object/change-codec.ts`: kind, version id, size, etag, time. */
  note: Uint8Array;
}

export interface AcceptRequest {
  key: IndexKey;
  ballot: Ballot;
  /** The site epoch the writer acts under; a drive with a newer one, or a fenced drive, refuses. */
  siteEpoch: number;
  /** Set for writes that clients caused: they are refused while the site is fenced. Healing and housekeeping are not. */
  fromClient: boolean;
  /** Generation of the bucket's settings the writer acted on; a drive that knows a newer one refuses. */
  bucketGeneration: number;
  tombstone: boolean;
  hidden: boolean;
  state: Uint8Array;
  /** Small data that `read` with `withHead` returns: that of the newest version. */
  headData: DataId | undefined;
  puts: readonly ShardPut[];
  /** Data this drive may drop once the ballot is decided (of its own older state; computed per drive). */
  frees: readonly DataId[];
  /**
   * Data the new state goes on referring to beside `puts`, or that something else refers to. A drive gathers the frees
   * of ballots that were overwritten before they were decided; what is kept here leaves that collection.
   */
  keeps: readonly DataId[];
  /** Ballots of this key that never took effect: their log rows and what `older` has of them, if any, go. */
  cancels: readonly Ballot[];
  /** The value this one was made from, which was chosen: the drive may take it as decided, and forget what is under it. */
  base: Ballot;
  change: ChangeNote | undefined;
}
/** Why a drive takes no write of a client. */
export const fenceReasons = ['fenced', 'old-epoch', 'no-lease'] as const;
export type FenceReason = (typeof fenceReasons)[number];

export type AcceptReply =
  /** Durable: state, shards and log row will be there after a power cut. */
  | { kind: 'accepted' }
  /** A promise or an accepted ballot above this one. */
  | { kind: 'outbid'; promised: Ballot }
  /** The site is fenced, the writer's site epoch is old, or the site's lease is not held here. */
  | { kind: 'fenced'; siteEpoch: number; fenced: boolean; why: FenceReason }
  /** The bucket was changed, sealed or removed since the writer read it. */
  | { kind: 'bucket-changed'; generation: number; sealed: boolean }
  /** Staged data this drive no longer has (it restarted, or the stage was given up). */
  | { kind: 'no-data' }
  /** The space reserve is reached. */
  | { kind: 'full' };

export interface DecideRequest {
  key: IndexKey;
  ballot: Ballot;
}

/** Brings a lagging drive to a value known to be chosen; nothing lies under it. Refused only by a newer accepted ballot. */
export interface LearnRequest {
  key: IndexKey;
  ballot: Ballot;
  tombstone: boolean;
  hidden: boolean;
  state: Uint8Array;
  headData: DataId | undefined;
  puts: readonly ShardPut[];
  frees: readonly DataId[];
  keeps: readonly DataId[];
  /** Ballots of this key that never took effect, or take effect as this one: their log rows, if any, go. */
  cancels: readonly Ballot[];
  change: ChangeNote | undefined;
}
export type LearnReply =
  { kind: 'learned' } | { kind: 'newer'; ballot: Ballot } | { kind: 'no-data' } | { kind: 'full' };

export interface StageRequest {
  dataId: DataId;
  /** Which shard of the erasure code this drive is given (0..k+m-1). */
  shard: number;
  /** Bytes of all payloads, where known beforehand: lets the drive lay them side by side. */
  expectedBytes: number | undefined;
}
/** A block on its way to a drive of this process. */
export interface StageBlock {
  index: number;
  payload: Uint8Array;
  checksum: bigint;
  /**
   * Memory that `payload` lies in, `wideHeaderBytes` behind its start, which is on a sector: `wideBytes` long, all of it
   * the drive's to write into until the release.
   */
  place?: Uint8Array | undefined;
}
/** Takes one data's shard blocks in order. Everything it was given is durable when `finish` resolves. */
export interface StageWriter {
  /** Never blocks; `release` is called once the payload's memory may be used again, on success or failure. */
  write(block: StageBlock, release: () => void): void;
  /** Bytes given to `write` that the drive has not taken yet (for back-pressure and for noticing a stall). */
  readonly queuedBytes: number;
  /** Called when `queuedBytes` has fallen. */
  onProgress: (() => void) | undefined;
  /** @throws StorageError OutOfSpace, or the drive's failure. */
  finish(): Promise<void>;
  /** Gives the data up; never throws. */
  abort(): void;
}

export interface BlocksRequest {
  dataId: DataId;
  /** First block and how many; keep `count` × block size under 4 MiB. */
  first: number;
  count: number;
}
export type BlocksReply =
  { kind: 'blocks'; shard: number; blocks: ShardBlock[]; release: () => void } | { kind: 'missing' | 'damaged' };

/** One row of a scan: a register's key and what listing needs of it. */
export interface ScanRow extends Register {
  key: IndexKey;
}
export interface ScanRequest {
  /** Only keys that start with these bytes. */
  prefix: Uint8Array;
  /** Only keys greater than this (exclusive); undefined: from the first. */
  after: IndexKey | undefined;
  /** With a delimiter: rows whose key holds it beyond the prefix are rolled up, see `rollups`. */
  delimiter: Uint8Array | undefined;
  limit: number;
  /** Leave tombstones (and with `skipHidden` also hidden rows) out when decided; undecided rows always come. */
  skipTombstones: boolean;
  skipHidden: boolean;
}
export interface ScanPage {
  rows: ScanRow[];
  /** Rolled-up common prefixes (bytes up to and with the delimiter) that hold at least one row not left out. */
  rollups: Uint8Array[];
  /** The last key or roll-up looked at; undefined when the scan reached the end. */
  next: IndexKey | undefined;
}
/** A digest over the keys, ballots and roll-ups of the page the same request would return, for cheap agreement. */
export interface ScanDigest {
  digest: Uint8Array;
  rows: number;
  next: IndexKey | undefined;
  /** A row of the page is not known to be decided here. */
  undecided: boolean;
}

/** The page of a scan and its digest. */
export interface PackedScan extends ScanDigest {
  /** In key order, see store/packed-entries.ts. */
  entries: Uint8Array;
}

export interface LogRow {
  key: IndexKey;
  ballot: Ballot;
  note: Uint8Array;
  /** Known to be chosen. */
  decided: boolean;
}
export interface LogRequest {
  bucketId: Uint8Array;
  /** Exclusive. */
  after: Ballot;
  /** Inclusive. */
  upTo: Ballot;
  limit: number;
}

/** Who may write at the whole site, as this drive knows it. */
export interface SiteState {
  epoch: number;
  /** No client may. */
  fenced: boolean;
  /** Clients may only while the node of the drive holds a lease of this epoch or a newer one. */
  leased: boolean;
}
/** The right of a node's drives to take writes of clients for a while. Kept in memory: a node that restarts has none. */
export interface SiteLease {
  epoch: number;
  /** End by this process's monotonic clock, milliseconds. */
  endsAtMs: number;
}

/**
 * Orders what is known of a site: the newer epoch counts; within one epoch a site is first fenced, then opened. So a
 * late order to fence does not take back the opening that followed it. Positive when `a` is newer.
 */
export function compareSiteStates(a: SiteState, b: SiteState): number {
  const phase = ({ fenced, leased }: SiteState): number => (fenced ? 0 : leased ? 2 : 1);
  return a.epoch === b.epoch ? phase(a) - phase(b) : a.epoch - b.epoch;
}
export interface BucketGuard {
  bucketId: Uint8Array;
  generation: number;
  /** No accept for this bucket at all: it is being removed. */
  sealed: boolean;
}

export interface DriveStat {
  driveId: string;
  state: 'ok' | 'full' | 'stopped';
  /** Why it stopped. */
  reason: string | undefined;
  totalBytes: number;
  freeBytes: number;
  indexBytes: number;
  segmentBytes: number;
  liveBytes: number;
  registers: number;
  quarantined: number;
  /** Accepted and not yet known to be decided. */
  undecided: number;
}

/**
 * Whether a shard is there; `verify` also reads it and checks every block. `staged`: it is there, but no register names
 * it, so that nobody can read it, and it goes when the process ends.
 */
export type DataCheck = 'ok' | 'staged' | 'missing' | 'damaged';

export interface CallOptions {
  /** Milliseconds the caller waits; the call then fails with `Busy`. What it asked may still happen. */
  deadlineMs?: number;
  signal?: AbortSignal;
}

/** A call that got no answer (dead, hung, cut off, stopped drive) throws `DriveUnavailable` from `drive-error.ts`. */
export interface DriveApi {
  read(request: ReadRequest, options?: CallOptions): Promise<ReadReply>;
  prepare(request: PrepareRequest, options?: CallOptions): Promise<PrepareReply>;
  accept(request: AcceptRequest, options?: CallOptions): Promise<AcceptReply>;
  /** Tells that ballots were chosen. One way: no answer, may be lost; a lost one costs a later reader one more look. */
  decide(requests: readonly DecideRequest[]): void;
  learn(request: LearnRequest, options?: CallOptions): Promise<LearnReply>;

  stage(request: StageRequest): StageWriter;
  /** Gives up data that was staged in full, unless a register names it or is about to. */
  unstage(dataId: DataId, options?: CallOptions): Promise<void>;
  readSmall(dataIds: readonly DataId[], options?: CallOptions): Promise<SmallShard[]>;
  readBlocks(request: BlocksRequest, options?: CallOptions): Promise<BlocksReply>;
  /** Keeps freed data readable until released (or the caller's connection ends). */
  pin(dataIds: readonly DataId[]): { release: () => void };
  checkData(dataIds: readonly DataId[], verify: boolean, options?: CallOptions): Promise<DataCheck[]>;
  /** Adds repaired shards to a register this drive has at exactly this ballot. False: it has another ballot. */
  repair(
    request: { key: IndexKey; ballot: Ballot; puts: readonly ShardPut[] },
    options?: CallOptions,
  ): Promise<boolean>;

  scan(request: ScanRequest, options?: CallOptions): Promise<ScanPage>;
  scanDigest(request: ScanRequest, options?: CallOptions): Promise<ScanDigest>;
  /** What `scan` and `scanDigest` say together, without an object for each row. */
  scanPacked(request: ScanRequest, options?: CallOptions): Promise<PackedScan>;
  log(request: LogRequest, options?: CallOptions): Promise<LogRow[]>;
  /** Promises for ALL keys: no ballot at or below this one will be newly accepted. Answers the floor now in force. */
  raiseFloor(ballot: Ballot, options?: CallOptions): Promise<Ballot>;
  /** Removes a decided tombstone that every drive of the set has at this ballot; raises the floor to it first. */
  forget(request: DecideRequest, options?: CallOptions): Promise<boolean>;

  siteState(options?: CallOptions): Promise<SiteState>;
  /** Durable; a state older than the present one (`compareSiteStates`) is refused by answering the present one. */
  setSiteState(state: SiteState, options?: CallOptions): Promise<SiteState>;
  /** Durable; a smaller generation is refused by answering the present guard. */
  guardBucket(guard: BucketGuard, options?: CallOptions): Promise<BucketGuard>;
  stat(options?: CallOptions): Promise<DriveStat>;
}

/** A drive did not answer: dead, hung, cut off, or stopped after a disk error. The call may or may not have happened. */
export class DriveUnavailable extends Error {
  override readonly name = 'DriveUnavailable';
}
