import type { FileText } from '../repository/go-text.ts';
import type { TreeNode } from '../repository/tree.ts';
import { joinRaw, shown, type RawPath } from '../source/raw-path.ts';
import type { Trees } from './trees.ts';

/** An entry of a snapshot, or a directory that cannot be read. */
export type SnapshotEntry =
  { kind: 'node'; path: RawPath; node: TreeNode } | { kind: 'damaged'; path: RawPath; why: string };

export interface WalkOptions {
  /** Where the tree hangs; `/` for the root of a snapshot. */
  at?: RawPath;
  /** False leaves an entry out, and what is in it. */
  enter?: (path: RawPath, node: TreeNode) => boolean;
}

/** Every entry below a tree, directories before what is in them. */
export async function* walkSnapshot(
  trees: Trees,
  treeId: string,
  options: WalkOptions = {},
): AsyncGenerator<SnapshotEntry> {
  const at = options.at ?? '/';
  const tree = await trees.load(treeId);
  if (tree.kind === 'damaged') {
    yield { kind: 'damaged', path: at, why: `tree ${treeId.slice(0, 8)} ${tree.why}` };
    return;
  }
  for (const node of tree.nodes) {
    const path = joinRaw(at, node.name);
    if (options.enter?.(path, node) === false) continue;
    yield { kind: 'node', path, node };
    if (node.type === 'dir' && node.subtree !== undefined)
      yield* walkSnapshot(trees, node.subtree, { ...options, at: path });
  }
}

/** The node at a path of a snapshot; null when there is none. The root itself is a directory without a name. */
export async function nodeAt(
  trees: Trees,
  rootTree: string,
  path: string,
): Promise<Pick<TreeNode, 'type' | 'subtree' | 'content'> | null> {
  let node: Pick<TreeNode, 'type' | 'subtree' | 'content'> = { type: 'dir', subtree: rootTree, content: null };
  for (const name of path.split('/').filter((part) => part !== '')) {
    const tree: Awaited<ReturnType<Trees['load']>> | null =
      node.subtree === undefined ? null : await trees.load(node.subtree);
    const next: TreeNode | undefined =
      tree?.kind === 'tree' ? tree.nodes.find((one) => isNamed(one.name, name)) : undefined;
    if (next === undefined) return null;
    node = next;
  }
  return node;
}

const isNamed = (name: FileText, wanted: string): boolean => shown(name) === wanted;
