/** What kept something out of a snapshot, or makes its content doubtful. */
export interface SourceProblem {
  /**
   * `changed`: what was saved may mix two states of the file; `vanished`: it was deleted after the directory was read;
   * `unreadable`: it may not be read, or the disk cannot; `before-damaged`: the snapshot before is damaged, which costs
   * this one nothing; `no-xattrs`: extended attributes could not be read.
   */
  kind: 'changed' | 'vanished' | 'unreadable' | 'before-damaged' | 'no-xattrs';
  path: string;
  why: string;
}

export interface BackupCounts {
  filesNew: number;
  filesChanged: number;
  filesUnmodified: number;
  directories: number;
  directoriesUnmodified: number;
  /** Links, devices, pipes. */
  others: number;
  /** Of files, read or found unchanged. */
  bytesDone: number;
}

export function emptyCounts(): BackupCounts {
  return {
    ...{ filesNew: 0, filesChanged: 0, filesUnmodified: 0, directories: 0, directoriesUnmodified: 0, others: 0 },
    bytesDone: 0,
  };
}
