import { type FileHandle } from './file-system.ts';

/** One of a drive's append-only files. */
export interface Segment {
  id: number;
  handle: FileHandle;
  /** Where the next bytes go; only of the files this process began. */
  end: number;
  /** Its directory entry is durable. */
  entry: Promise<void>;
  /** Bytes that rows refer to, headers included; known once the index was counted. */
  liveBytes: number;
  /** When rows last stopped referring to something in it, monotonic milliseconds; -Infinity when not in this life. */
  lastDeathMs: number;
  open: boolean;
  /** Extents that were written or set aside and that no durable row names yet: the file must not go. */
  holds: number;
  /** Reads under way: the file must not be closed. */
  readers: number;
  /** `liveBytes` when compaction last found blocks it could not copy. */
  spoiledAt: number | undefined;
}

/** Takes a stretch of the active file; one caller after the other, since it may have to begin a new file. */
export type Active = <T>(bytes: number, take: (segment: Segment) => T) => Promise<T>;
