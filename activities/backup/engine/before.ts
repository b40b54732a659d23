import type { TreeNode } from '../repository/tree.ts';
import type { SourceProblem } from './backup-result.ts';
import { nameKey, type DirectoryBefore } from './open-directory.ts';
import type { Trees } from './trees.ts';

/** A directory of the snapshot before. One that is damaged is told of, and what it held is saved as if it were new. */
export async function loadBefore(
  { trees, problem }: { trees: Trees; problem: (problem: SourceProblem) => void },
  id: string,
): Promise<DirectoryBefore | null> {
  const tree = await trees.load(id);
  if (tree.kind === 'damaged') {
    problem({ kind: 'before-damaged', path: '', why: `tree ${id} ${tree.why}; what it held is read again` });
    return null;
  }
  const byName = new Map<string, TreeNode>();
  for (const node of tree.nodes) byName.set(nameKey(node.name), node);
  return { id, count: tree.nodes.length, byName };
}
