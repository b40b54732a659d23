import type { ArchiveOutcome, WalArchive } from './wal-archive.ts';

/** A segment that is being received. */
export interface OpenSegment {
  /** Writes bytes at an offset of the segment. The same bytes may be written again. */
  write(offset: number, pieces: Buffer[]): Promise<void>;
  /** Resolves when all that was written is on disk. */
  sync(): Promise<void>;
  /** The segment is full: it goes into the archive under its own name, by the rules of `archiveWal`. */
  finish(): Promise<ArchiveOutcome>;
  /** Leaves it as it is. */
  close(): Promise<void>;
}

/** Where a receiver writes. What was written of a segment outlives this process, as `<name>.partial`. */
export interface WalStore {
  readonly archive: WalArchive;
  /** Names of everything here, the segments included that have not come to the archive yet. */
  list(): AsyncIterable<string>;
  /** Takes up the partial segment where there is one; its bytes stay until they are written again. */
  openSegment(name: string, segmentBytes: number): Promise<OpenSegment>;
}
