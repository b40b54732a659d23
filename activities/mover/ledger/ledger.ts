import { type ErrorCode } from '../../../workflows/engine/errors.ts';
import { type Checksums, type UploadedPart } from '../../objects/types.ts';

/** What has to happen at the target. Tags and metadata are writes of their own: a copy without them is not the object. */
export type Operation = 'put' | 'delete' | 'tags' | 'metadata';

/**
 * `pending`: written at the source, not at the target. `copied`: at the target, not proved. `verified`: proved at the
 * target by checksums. `failed`: tried and given up for now; it is part of the backlog.
 */
export type RowState = 'pending' | 'copied' | 'verified' | 'failed';

/** One write of one key: the durable memory of a replication. Relative key; version '' where the newest alone counts. */
export interface LedgerRow {
  key: string;
  version: string;
  /** In the order in which this ledger heard of them. */
  seq: number;
  op: Operation;
  /** By the source's clock, Unix milliseconds. */
  writtenAtMs: number;
  /**
   * Since when the target lacks something of this key, Unix milliseconds by the source's clock: of several writes that
   * were never copied, the first.
   */
  dueSinceMs: number;
  sizeBytes: number;
  state: RowState;
  attempts: number;
  sourceEtag: string;
  /** As the target answered; '' before it did. */
  targetEtag: string;
  targetVersion: string;
  checksums: Checksums;
  errorCode?: ErrorCode;
  /** What both sides last agreed on, while the row is about a later write; '' for a side that had nothing. */
  agreed?: Agreed;
  /** When tags of it became others, by the source's clock, while that is not at the target: a copy begun before may lack them. */
  tagsAtMs?: number;
}

/** ETags of one state that was proved to be the same on both sides. */
export interface Agreed {
  sourceEtag: string;
  targetEtag: string;
}

/** A write somebody saw at the source. */
export interface NotedWrite {
  key: string;
  version: string;
  op: Operation;
  writtenAtMs: number;
  sizeBytes: number;
  sourceEtag: string;
}

/** What became of it. `again`: back to pending, for a later pass. */
export interface SettledWrite {
  key: string;
  version: string;
  state: RowState;
  /** The write this is about: when another came since, the row stays pending. '' counts for any. */
  sourceEtag: string;
  targetEtag?: string;
  targetVersion?: string;
  checksums?: Checksums;
  errorCode?: ErrorCode;
}

export interface LedgerTotals {
  /** Backlog by state: objects and bytes. */
  pending: Tally;
  copied: Tally;
  failed: Tally;
  /** Rows that are proved, tombstones of proved deletes included. */
  verifiedRows: number;
  /** The oldest `dueSinceMs` of the backlog. */
  oldestDueMs?: number;
}
export interface Tally {
  objects: number;
  sizeBytes: number;
}

/** Up to when every write at the source is known to the ledger, by the source's clock. */
export interface Observed {
  upToMs: number;
  by: 'change-log' | 'sweep';
  /** Source's clock minus this machine's, milliseconds; undefined when it was never compared. */
  clockOffsetMs?: number;
}

export interface Frozen {
  /** This machine's clock. */
  atMs: number;
  epoch: number;
  why: string;
}

/** A multipart upload that may be gone on from. */
export interface UploadState {
  key: string;
  version: string;
  /** '' while it is not known whether the store made one: asked for since `begunAtMs`. */
  uploadId: string;
  begunAtMs: number;
  sourceEtag: string;
  sizeBytes: number;
  partSizeBytes: number;
}

/** A part that arrived, with what its own bytes came to. */
export interface DonePart extends UploadedPart {
  own: Checksums;
}

/**
 * The memory of one replication: what was written at the source and what of it is proved at the target. Writes resolve
 * when they are durable. After `freeze` all of them throw REPLICATION_FROZEN, in every process.
 */
export interface ReplicationLedger extends AsyncDisposable {
  /** Rows by key and version, in the order asked for. */
  lookUp(of: readonly { key: string; version: string }[]): Promise<(LedgerRow | undefined)[]>;
  /** A write that is known already (same ETag, op and version, proved or not) changes nothing. */
  note(writes: readonly NotedWrite[]): Promise<void>;
  /** Settling what was never noted makes the row. */
  settle(outcomes: readonly (SettledWrite & Partial<NotedWrite>)[]): Promise<void>;
  /** Rows in the order of their keys; of the keys behind `after`, up to and including `upTo`, where they are given. */
  rows(range?: { after?: string; upTo?: string }): AsyncIterable<LedgerRow>;
  /** What is not proved, the longest due first. */
  backlog(): AsyncIterable<LedgerRow>;
  totals(): Promise<LedgerTotals>;

  observed(): Promise<Observed | undefined>;
  setObserved(observed: Observed): Promise<void>;
  /** Small notes of the engine: cursors, positions. Undefined removes. */
  getNote(name: string): Promise<unknown>;
  setNote(name: string, value: unknown): Promise<void>;

  upload(of: { key: string; version: string }): Promise<{ state: UploadState; parts: DonePart[] } | undefined>;
  saveUpload(state: UploadState): Promise<void>;
  savePart(of: { key: string; version: string }, part: DonePart): Promise<void>;
  dropUpload(of: { key: string; version: string }): Promise<void>;
  uploads(): AsyncIterable<UploadState>;

  /** Once; a second one returns the first. Rows stay readable. */
  freeze(why: { epoch: number; why: string }): Promise<Frozen>;
  frozen(): Promise<Frozen | undefined>;
}
