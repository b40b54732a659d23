import { hostname, userInfo } from 'node:os';
import { formatTime } from '../repository/go-time.ts';
import type { Snapshot, SnapshotFile } from '../repository/snapshot.ts';
import type { BackupCounts, SourceProblem } from './backup-result.ts';
import type { Added } from './requests.ts';

/** What a snapshot says of itself besides its content. */
export interface SnapshotLabels {
  /** Default: the name of this machine. */
  host?: string;
  tags?: readonly string[];
  excludes?: readonly string[];
  /** Default now. */
  time?: Date;
  programVersion?: string;
  /**
   * What Muster wants to remember of the snapshot, asked when all is saved and kept in the snapshot's own file; plain
   * JSON. restic passes over it.
   */
  about?: (saved: Pick<Saved, 'counts' | 'added' | 'problems'>) => unknown;
}

/** What was saved, and how much of it was new. */
export interface Saved {
  tree: string;
  parent: Snapshot | null;
  counts: BackupCounts;
  added: { data: Added; trees: Added };
  problems: readonly SourceProblem[];
}

export function describeSnapshot(labels: SnapshotLabels, paths: readonly string[], saved: Saved): SnapshotFile {
  const { tree, parent, counts, added } = saved;
  const { username, uid, gid } = userInfo();
  return {
    time: formatTime(nanosOfDate(labels.time ?? new Date())),
    ...(parent !== null && { parent: parent.id }),
    ...{ tree, paths, hostname: labels.host ?? hostname(), username },
    ...(uid >= 0 && { uid, gid }),
    ...(labels.excludes !== undefined && labels.excludes.length > 0 && { excludes: labels.excludes }),
    ...(labels.tags !== undefined && labels.tags.length > 0 && { tags: labels.tags }),
    ...(labels.about !== undefined && { muster: labels.about(saved) }),
    ...(labels.programVersion !== undefined && { program_version: labels.programVersion }),
    summary: {
      ...{ files_new: counts.filesNew, files_changed: counts.filesChanged, files_unmodified: counts.filesUnmodified },
      ...{ data_blobs: added.data.blobs, tree_blobs: added.trees.blobs },
      data_added: added.data.bytes + added.trees.bytes,
      data_added_packed: added.data.storedBytes + added.trees.storedBytes,
      total_files_processed: counts.filesNew + counts.filesChanged + counts.filesUnmodified,
      total_bytes_processed: counts.bytesDone,
    },
  };
}

export const nanosOfDate = (date: Date): bigint => BigInt(date.getTime()) * 1_000_000n;
