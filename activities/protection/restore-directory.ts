import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { MusterError } from '../../workflows/engine/errors.ts';
import { restore, type RestoreOptions, type RestoreResult } from '../backup/engine/restore.ts';
import { finishPath } from '../backup/engine/restore-entries.ts';
import { openTrees } from '../backup/engine/trees.ts';
import { nodeAt } from '../backup/engine/walk-snapshot.ts';
import type { Repository } from '../backup/repository/attach.ts';
import { createBlobTable } from '../backup/repository/blob-table.ts';
import { codeOf } from '../backup/repository/durable-write.ts';
import { loadIndex } from '../backup/repository/index-load.ts';
import type { Snapshot } from '../backup/repository/snapshot.ts';
import type { TreeNode } from '../backup/repository/tree.ts';
import { byteKey, shown } from '../backup/source/raw-path.ts';
import { restoreXattrs } from '../backup/source/xattrs.ts';

type Options = Pick<RestoreOptions, 'repository' | 'snapshot' | 'target' | 'signal' | 'onProgress'> & {
  /** Called when every file is back, before the directory gets its own times. */
  beforeEnd?: () => Promise<void>;
};

/**
 * Brings back the content of a saved directory, with its own owner, mode, times and attributes, straight into the
 * target; holes are holes again. What an attempt before has brought back is not read again.
 * @throws MusterError as `restore`
 */
export async function restoreDirectory({ beforeEnd, ...options }: Options): Promise<RestoreResult> {
  const { repository, snapshot, target } = options;
  const [subpath = '/'] = snapshot.paths;
  const result = await restore({ ...options, subpath, overwrite: 'if-changed', sparse: true });
  if (result.problems.every(({ path: at }) => at === '')) await beforeEnd?.();
  const top = await nodeOf(repository, snapshot, subpath);
  if (top === null) return result;
  const attributes = top.extendedAttributes ?? [];
  const why = attributes.length === 0 ? null : await restoreXattrs([[byteKey(target), attributes]]);
  if (why !== null) result.problems.push({ path: '', why: `extended attributes were not all restored: ${why}` });
  finishPath(target, top);
  return result;
}

/** The directory itself as it was saved; null of the root, which no snapshot says anything of. */
async function nodeOf(repository: Repository, { tree }: Snapshot, at: string): Promise<TreeNode | null> {
  const table = createBlobTable();
  await loadIndex(repository, table);
  const trees = openTrees(repository, table);
  const parent = await nodeAt(trees, tree, path.dirname(at));
  const loaded = parent?.subtree === undefined ? null : await trees.load(parent.subtree);
  if (loaded?.kind !== 'tree') return null;
  return loaded.nodes.find(({ name }) => shown(name) === path.basename(at)) ?? null;
}

/** What is left to say of a restore in which every file came back. @throws MusterError RESTORE_FAILED naming those that did not */
export function missingAttributes({ problems }: RestoreResult): string {
  const lost = problems.filter(({ path: at }) => at !== '');
  if (lost.length > 0) {
    const named = lost.slice(0, 5).map(({ path: at, why }) => `${at}: ${why}`);
    throw new MusterError('RESTORE_FAILED', `${lost.length} files are not whole: ${named.join('; ')}`);
  }
  return problems.map(({ why }) => why).join('; ');
}

/** @throws MusterError CONFIG_INVALID when something is there */
export async function mustBeEmpty(directory: string): Promise<void> {
  if (await isEmptyPlace(directory)) return;
  const message = `${directory} is not empty: name a directory that is not there, or an empty one`;
  throw new MusterError('CONFIG_INVALID', message);
}

/** Whether a directory is not there or holds nothing; what a new file system of ext4 holds is nothing. */
export async function isEmptyPlace(directory: string): Promise<boolean> {
  try {
    return (await readdir(directory)).every((name) => name === 'lost+found');
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return true;
    throw err;
  }
}
