import type { BlobTableHandle } from '../repository/blob-table.ts';
import type { RepositoryHandle } from '../repository/attach.ts';
import type { CheckJob, PackVerdict } from './check-pack.ts';
import type { RepackJob } from './repack.ts';
import type { FlatPack } from './flat-pack.ts';
import type { PackJob, PackOutcome } from './restore-files.ts';
import type { FileJob, FileOutcome } from './read-files.ts';

/** What every thread of the engine is given at its start. Holds the master key: it stays in this process. */
export interface ThreadData {
  repository: RepositoryHandle;
  table: BlobTableHandle;
  compress: boolean;
  /** See `openBoard`. */
  board: SharedArrayBuffer;
}

/** What the threads are asked. */
export type EngineRequest =
  /** Files to read, cut and save. */
  | { kind: 'read'; jobs: FileJob[] }
  /** Pieces that lie one behind the other in `bytes`, to be saved as blobs. */
  | { kind: 'save'; bytes: Uint8Array; lengths: number[] }
  /** Blobs of a pack to be written into files. */
  | { kind: 'restore'; job: PackJob }
  | { kind: 'check'; job: CheckJob }
  | { kind: 'repack'; job: RepackJob }
  /** Waits until everything saved by this thread is durable. */
  | { kind: 'flush' }
  /** Waits for the packs that are being written, and begins no other. */
  | { kind: 'settle' };

export interface Added {
  blobs: number;
  bytes: number;
  storedBytes: number;
}

export type EngineAnswer =
  | { kind: 'read'; outcomes: FileOutcome[] }
  /** 32 bytes for each piece. */
  | { kind: 'saved'; ids: Uint8Array }
  | { kind: 'restored'; outcome: PackOutcome }
  | { kind: 'checked'; verdict: PackVerdict }
  | { kind: 'repacked' }
  | { kind: 'flushed'; added: Added }
  | { kind: 'settled' };

/** A pack is durable; it stands in no index yet. */
export interface EngineEvent {
  kind: 'stored';
  pack: FlatPack;
}
