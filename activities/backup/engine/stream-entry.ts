import type { MusterError } from '../../../workflows/engine/errors.ts';
import type { TreeNode } from '../repository/tree.ts';
import type { SourceProblem } from './backup-result.ts';

/** Where a stream is cut: where its content says, or every so many bytes, as for files made of pages. */
export type Cut = { kind: 'content' } | { kind: 'fixed'; bytes: number };

/**
 * Something to save that is no file of this machine: an object of a bucket, a file of a base backup. Directories that
 * are not told of are made with the mode 0700.
 */
export interface StreamEntry {
  /** Absolute, with `/` between names; no empty name, `.` or `..`. */
  path: string;
  /** All but content, subtree and size; `name` is taken from the path. */
  node: Omit<TreeNode, 'content' | 'subtree' | 'sizeBytes'>;
  /** For files; asked for at most once. */
  open?: () => AsyncIterable<Uint8Array>;
  cut?: Cut;
  /** Whether the file of the snapshot before is the same: then it is taken as it stands there, and not opened. */
  sameAs?: (before: TreeNode) => boolean;
  /**
   * Asked, several at once, of files that are the same: attributes that may be others without a trace in what `sameAs`
   * compares. What it fails with means what `whenFailed` says.
   */
  refresh?: (before: TreeNode) => Promise<Required<Pick<TreeNode, 'extendedAttributes'>>>;
  /** What is known of it only once it was read to its end. */
  after?: () => Partial<Pick<TreeNode, 'mtime' | 'extendedAttributes'>>;
  /** What the failure of its body means; null, or none given: the whole backup fails. */
  whenFailed?: (err: MusterError) => SourceProblem | null;
}
