import type { ManifestAlgorithm } from './file-digest.ts';

/** A base backup as everything that stores or restores one sees it: a stream of files, storage unknown. */

/** A place outside the data directory in which a server keeps files. */
export interface Tablespace {
  oid: number;
  /** Absolute path on the source; relative to the data directory for one that lies inside it. */
  location: string;
}

export interface BackupEntry {
  /** In whose tree it lies; `null`: the data directory. Each tree begins with its own entries, one tree behind the other. */
  tablespace: Tablespace | null;
  /** Below the tree's root, `/` between names. */
  path: string;
  kind: 'file' | 'directory' | 'symlink';
  /** Permission bits. */
  mode: number;
  /** Unix milliseconds. */
  mtimeMs: number;
  /** 0 for what is no file. */
  sizeBytes: number;
  /** Empty for what is no link. */
  linkTarget: string;
  /**
   * To be read before the next entry is asked for, once; what is not read is passed over (and still checked). Bytes are
   * good until the next ones are asked for.
   */
  body: AsyncIterable<Buffer>;
}

/** What must be known of a base backup to recover from it. Plain data: may be stored as JSON. */
export interface BackupFacts {
  systemId: string;
  postgresMajor: number;
  segmentBytes: number;
  timeline: number;
  /** WAL is needed from here. */
  startLsn: string;
  /** Consistent from here on. */
  endLsn: string;
  tablespaces: Tablespace[];
  /** Whether the WAL between start and end is part of the backup. */
  hasWal: boolean;
  /** What the manifest's checksums are. */
  checksums: ManifestAlgorithm;
  files: number;
  /** Of all files together, WAL included. */
  bytes: number;
  /** Unix milliseconds by the clock of the process that took it. */
  startedAtMs: number;
  endedAtMs: number;
}

/** A stored base backup, to be read back. */
export interface StoredBackup {
  facts: BackupFacts;
  /** All entries, in the order of `BackupEntry.tablespace`; the last file is `backup_manifest`. */
  entries(): AsyncIterable<BackupEntry>;
}

export const manifestName = 'backup_manifest';

/** Path of an entry as the manifest of the backup names it. */
export function manifestPath({ tablespace, path }: Pick<BackupEntry, 'tablespace' | 'path'>): string {
  return tablespace === null ? path : `pg_tblspc/${tablespace.oid}/${path}`;
}
