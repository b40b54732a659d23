import type { Snapshot } from '../repository/snapshot.ts';
import type { TreeNode } from '../repository/tree.ts';
import { joinRaw, shown, type RawPath } from '../source/raw-path.ts';
import type { MissingPiece } from './marks.ts';
import type { Trees } from './trees.ts';

/** A file or directory of a snapshot that cannot be restored whole. */
export type HurtFile = MissingPiece;

/**
 * The files that need one of the lost blobs, each named in the first snapshot that was seen to have it: a tree that was
 * met before is not walked again.
 * @param lost ids in hexadecimal
 */
export async function findHurtFiles(
  trees: Trees,
  snapshots: readonly Snapshot[],
  lost: ReadonlySet<string>,
): Promise<HurtFile[]> {
  const hurt: HurtFile[] = [];
  const seen = new Set<string>();
  for (const snapshot of snapshots) {
    const tell = (path: RawPath, why: string): void =>
      void hurt.push({ snapshot: snapshot.id.slice(0, 8), path: shown(path), why });
    await search({ trees, lost, seen, tell }, snapshot.tree, '/');
  }
  return hurt;
}

interface Search {
  trees: Trees;
  lost: ReadonlySet<string>;
  seen: Set<string>;
  tell: (path: RawPath, why: string) => void;
}

async function search(all: Search, treeId: string, path: RawPath): Promise<void> {
  if (all.seen.has(treeId)) return;
  all.seen.add(treeId);
  if (all.lost.has(treeId))
    return all.tell(path, `its tree ${treeId.slice(0, 8)} is lost: nothing in it can be restored`);
  const tree = await all.trees.load(treeId);
  if (tree.kind === 'damaged') return;
  for (const node of tree.nodes) {
    const at = joinRaw(path, node.name);
    if (node.type === 'dir' && node.subtree !== undefined) await search(all, node.subtree, at);
    else if (node.type === 'file') tellLost(all, at, node);
  }
}

function tellLost({ lost, tell }: Search, path: RawPath, { content }: TreeNode): void {
  const missing = (content ?? []).filter((id) => lost.has(id));
  if (missing.length > 0) tell(path, `${missing.length} of its ${content!.length} pieces are lost`);
}
