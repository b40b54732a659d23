import { MusterError } from '../../../workflows/engine/errors.ts';
import type { RecoveryPoint } from '../../../workflows/engine/protection.ts';
import { nodeAt } from '../../backup/engine/walk-snapshot.ts';
import { openTrees, type Trees } from '../../backup/engine/trees.ts';
import type { Repository } from '../../backup/repository/attach.ts';
import { createBlobTable } from '../../backup/repository/blob-table.ts';
import { loadIndex } from '../../backup/repository/index-load.ts';
import { loadSnapshot } from '../../backup/repository/snapshot.ts';
import type { TreeNode } from '../../backup/repository/tree.ts';
import { savedObject } from '../../backup/source/bucket.ts';
import { directoryInKeys } from '../../backup/source/object-paths.ts';
import { shown } from '../../backup/source/raw-path.ts';
import { compareKeys } from '../../objects/keys.ts';

/** Keys of the objects of a bucket's recovery point, as `keysBelow` has them. @throws MusterError REPOSITORY_DAMAGED */
export async function* savedKeys(repository: Repository, point: RecoveryPoint): AsyncGenerator<string> {
  const table = createBlobTable();
  await loadIndex(repository, table);
  const { tree, paths } = await loadSnapshot(repository, point.snapshotId);
  const trees = openTrees(repository, table);
  const [root = '/'] = paths;
  const bucket = await nodeAt(trees, tree, root);
  if (bucket?.subtree !== undefined) yield* keysBelow(trees, bucket.subtree);
  // A bucket without objects has no directory in its snapshot; that of one whose tree cannot be read is no such bucket.
  else if ((await trees.load(tree)).kind === 'damaged') throw damaged(root, 'its tree cannot be read');
}

interface Directory {
  tree: string;
  path: string;
  /** What all keys below it begin with. */
  keys: string;
}

/**
 * Keys of the objects below a directory of a bucket, in the order of their UTF-8 bytes. That is not the order of their
 * paths: `a-b` stands before `a/b`. What is held are the entries of the directories that lead to the present one.
 */
export async function* keysBelow(
  trees: Trees,
  tree: string,
  { path, keys }: Omit<Directory, 'tree'> = { path: '', keys: '' },
): AsyncGenerator<string> {
  const loaded = await trees.load(tree);
  if (loaded.kind === 'damaged') throw damaged(path, loaded.why);
  const entries = loaded.nodes
    .flatMap((node) => entryOf(node, { path, keys }))
    .sort((a, b) => compareKeys(a.key, b.key));
  for (const { key, below } of entries) {
    if (below === null) yield key;
    else yield* keysBelow(trees, below.tree, below);
  }
}

/** An object by its key, a directory by what all keys below it begin with: no key of another entry lies between those. */
function entryOf(node: TreeNode, at: Omit<Directory, 'tree'>): { key: string; below: Directory | null }[] {
  const name = shown(node.name);
  const path = at.path + name;
  if (node.type === 'file') return [{ key: savedObject(path, node).key, below: null }];
  if (node.type !== 'dir' || node.subtree === undefined) return [];
  const keys = `${at.keys}${directoryInKeys(name)}/`;
  return [{ key: keys, below: { tree: node.subtree, path: `${path}/`, keys } }];
}

function damaged(path: string, why: string): MusterError {
  return new MusterError('REPOSITORY_DAMAGED', `${path}: ${why}`);
}
