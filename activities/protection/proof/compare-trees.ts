import { nameKey } from '../../backup/engine/open-directory.ts';
import { walkSnapshot } from '../../backup/engine/walk-snapshot.ts';
import type { Trees } from '../../backup/engine/trees.ts';
import type { TreeNode } from '../../backup/repository/tree.ts';
import { joinRaw, shown, type RawPath } from '../../backup/source/raw-path.ts';
import type { Draw } from './sample.ts';

/** A file whose content is another than before; `before` is null for a name that is new. */
export interface ChangedFile {
  path: string;
  before: TreeNode | null;
  now: TreeNode;
}

export interface TreeChanges {
  changed: number;
  appeared: number;
  vanished: number;
  emptied: number;
}

interface Comparing extends TreeChanges {
  trees: Trees;
  /** What always differs and says nothing. */
  ignore: (path: string) => boolean;
  draw: Draw<ChangedFile>;
}

/**
 * Compares two snapshots by their directories: only those that differ are read. Contents are compared by the ids of
 * their pieces; times and owners do not count. `null`: a directory of the older one cannot be read.
 */
export async function compareTrees(
  roots: { before: string; now: string },
  options: Pick<Comparing, 'trees' | 'ignore' | 'draw'>,
): Promise<TreeChanges | { damaged: string }> {
  const comparing = { ...options, changed: 0, appeared: 0, vanished: 0, emptied: 0 };
  const damaged = await compareDirectory(comparing, '/', roots);
  const { changed, appeared, vanished, emptied } = comparing;
  return damaged === null ? { changed, appeared, vanished, emptied } : { damaged };
}

async function compareDirectory(
  all: Comparing,
  at: RawPath,
  { before, now }: { before: string; now: string },
): Promise<string | null> {
  if (before === now) return null;
  const [old, young] = [await all.trees.load(before), await all.trees.load(now)];
  if (old.kind === 'damaged') return `${shown(at)}: tree ${before.slice(0, 8)} ${old.why}`;
  if (young.kind === 'damaged') return `${shown(at)}: tree ${now.slice(0, 8)} ${young.why}`;
  const left = new Map(old.nodes.map((node) => [nameKey(node.name), node]));
  for (const node of young.nodes) {
    const key = nameKey(node.name);
    const damaged = await compareNode(all, joinRaw(at, node.name), { before: left.get(key) ?? null, now: node });
    if (damaged !== null) return damaged;
    left.delete(key);
  }
  for (const node of left.values()) all.vanished += await filesIn(all, joinRaw(at, node.name), node);
  return null;
}

async function compareNode(
  all: Comparing,
  at: RawPath,
  { before, now }: { before: TreeNode | null; now: TreeNode },
): Promise<string | null> {
  if (all.ignore(shown(at))) return null;
  if (before?.subtree !== undefined && now.subtree !== undefined) {
    return compareDirectory(all, at, { before: before.subtree, now: now.subtree });
  }
  if (before?.type === 'file' && now.type === 'file') {
    compareFile(all, { path: shown(at), before, now });
    return null;
  }
  if (before !== null) all.vanished += await filesIn(all, at, before);
  all.appeared += await filesIn(all, at, now, (path, node) => all.draw.offer(path, { path, before: null, now: node }));
  return null;
}

function compareFile(all: Comparing, file: ChangedFile & { before: TreeNode }): void {
  const [before, now] = [file.before.content ?? [], file.now.content ?? []];
  if (before.length === now.length && before.every((id, i) => id === now[i])) return;
  all.changed += 1;
  if (now.length === 0) all.emptied += 1;
  else all.draw.offer(file.path, file);
}

/** How many files a node is or holds. */
async function filesIn(
  { trees, ignore }: Comparing,
  at: RawPath,
  node: TreeNode,
  visit: (path: string, node: TreeNode) => void = () => undefined,
): Promise<number> {
  if (ignore(shown(at))) return 0;
  if (node.type === 'file') {
    visit(shown(at), node);
    return 1;
  }
  if (node.subtree === undefined) return 0;
  let files = 0;
  const options = { at, enter: (path: RawPath) => !ignore(shown(path)) };
  for await (const entry of walkSnapshot(trees, node.subtree, options)) {
    if (entry.kind === 'damaged' || entry.node.type !== 'file') continue;
    visit(shown(entry.path), entry.node);
    files += 1;
  }
  return files;
}
