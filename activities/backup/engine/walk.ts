import { lstatSync, readdirSync, type BigIntStats } from 'node:fs';
import { blobId, hexOf } from '../repository/blob.ts';
import { idFromHex } from '../repository/blob.ts';
import { noSlot, type BlobTable } from '../repository/blob-table.ts';
import { compareText, fileText, type FileText } from '../repository/go-text.ts';
import { encodeTree, type ExtendedAttribute, type TreeNode } from '../repository/tree.ts';
import { looksUnchanged, nodeOf } from '../source/attributes.ts';
import type { Owners } from '../source/owners.ts';
import { byteKey, forFs, joinRaw, shown, type RawPath } from '../source/raw-path.ts';
import type { Target } from '../source/targets.ts';
import type { FileQueue } from './file-queue.ts';
import { loadBefore } from './before.ts';
import { nameKey, OpenDirectory } from './open-directory.ts';
import type { Packer } from './packer.ts';
import type { BackupCounts, SourceProblem } from './backup-result.ts';
import type { FileOutcome } from './read-files.ts';
import type { Trees } from './trees.ts';

export interface WalkContext {
  queue: FileQueue;
  /** Writes the trees. */
  packer: Packer;
  /** Reads those of the snapshot before. */
  trees: Trees;
  table: BlobTable;
  owners: Owners;
  /** By path, see `byteKey`. */
  xattrs: ReadonlyMap<string, readonly ExtendedAttribute[]>;
  counts: BackupCounts;
  /** Whether a path stays out of the snapshot. */
  isExcluded(path: string, isDirectory: boolean): boolean;
  /** Do not leave the file systems of the paths that were named. */
  oneFileSystem: boolean;
  problem(problem: SourceProblem): void;
  signal: AbortSignal;
}

/** A directory to walk. */
export interface Place {
  path: RawPath;
  /** null: everything in it. */
  target: Target | null;
  device: bigint | null;
}

/**
 * Walks a directory and has all that is in it saved. Resolves at the end of the walk; `onTree` is given the id of its
 * tree, in hexadecimal, once the last file in it was read.
 * @param beforeId the tree that it had in an earlier snapshot
 */
export async function walk(
  context: WalkContext,
  place: Place,
  beforeId: string | null,
  onTree: (id: string) => void,
): Promise<void> {
  const before = beforeId === null ? null : await loadBefore(context, beforeId);
  const directory = new OpenDirectory(before, (complete) => onTree(saveTree(context, complete)));
  for (const name of namesIn(context, place)) {
    context.signal.throwIfAborted();
    await saveEntry(context, directory, place, name);
    const room = context.queue.room() ?? context.packer.room();
    if (room !== null) await room;
  }
  directory.walked();
}

function namesIn({ problem }: WalkContext, { path, target }: Place): FileText[] {
  if (target !== null && !target.whole) return [...target.children.keys()].toSorted(compareText);
  try {
    const names = readdirSync(forFs(path));
    // Bytes that are no UTF-8 came as replacement characters, which a name may also really hold.
    const exact = names.some((name) => name.includes('\ufffd'))
      ? readdirSync(forFs(path), { encoding: 'buffer' }).map(fileText)
      : names;
    return exact.toSorted(compareText);
  } catch (err) {
    problem({ kind: 'unreadable', path: shown(path), why: messageOf(err) });
    return [];
  }
}

async function saveEntry(context: WalkContext, directory: OpenDirectory, place: Place, name: FileText): Promise<void> {
  const path = joinRaw(place.path, name);
  const target =
    place.target === null || place.target.whole ? null : (place.target.children.get(name as string) ?? null);
  const node = readEntry(context, { path, name, target }, place);
  if (node === null) return;
  const before = directory.before?.byName.get(nameKey(name)) ?? null;
  if (node.node.type === 'dir') {
    directory.reserve();
    const settle = (subtree: string): void => directory.settle({ ...node.node, subtree });
    context.counts.directories += 1;
    const inside = { path, target, device: node.stats.dev };
    await walk(context, inside, before?.type === 'dir' ? (before.subtree ?? null) : null, settle);
  } else if (node.node.type === 'file') saveFile(context, directory, { path, node: node.node, before });
  else if (node.node.type !== 'socket') {
    context.counts.others += 1;
    directory.add(node.node);
  }
}

/** null for what is excluded, is gone again, or cannot be looked at, which is said. */
function readEntry(
  context: WalkContext,
  { path, name, target }: { path: RawPath; name: FileText; target: Target | null },
  { device, target: within }: Place,
): { node: TreeNode; stats: BigIntStats } | null {
  try {
    const stats = lstatSync(forFs(path), { bigint: true });
    const named = within !== null && target !== null;
    if (!named && context.isExcluded(shown(path), stats.isDirectory())) return null;
    if (context.oneFileSystem && device !== null && !named && stats.dev !== device) return null;
    const xattrs = context.xattrs.size === 0 ? undefined : context.xattrs.get(byteKey(path));
    return { node: nodeOf({ name, path, stats }, context.owners, xattrs), stats };
  } catch (err) {
    // What was deleted since the directory was read is not there to be saved.
    if (codeOf(err) !== 'ENOENT') context.problem({ kind: 'unreadable', path: shown(path), why: messageOf(err) });
    return null;
  }
}

interface FileEntry {
  path: RawPath;
  node: TreeNode;
  before: TreeNode | null;
}

function saveFile(context: WalkContext, directory: OpenDirectory, { path, node, before }: FileEntry): void {
  const { counts } = context;
  const sizeBytes = Number(node.sizeBytes ?? 0);
  if (before !== null && looksUnchanged(before, node) && allThere(context.table, before.content!)) {
    counts.filesUnmodified += 1;
    counts.bytesDone += sizeBytes;
    directory.add({ ...node, content: before.content });
    return;
  }
  directory.reserve();
  context.queue.add(path, sizeBytes, (outcome) => {
    if (outcome.kind === 'saved') counts[before === null ? 'filesNew' : 'filesChanged'] += 1;
    counts.bytesDone += outcome.kind === 'saved' ? outcome.sizeBytes : 0;
    directory.settle(nodeAfter(context, path, node, outcome));
  });
}

/** The node with its content; where the file is another by now than the one that was looked at, it is looked at again. */
function nodeAfter(context: WalkContext, path: RawPath, node: TreeNode, outcome: FileOutcome): TreeNode | null {
  if (outcome.kind === 'failed') {
    const kind = outcome.code === 'ENOENT' ? 'vanished' : 'unreadable';
    context.problem({ kind, path: shown(path), why: outcome.why });
    return null;
  }
  const content = idsOf(outcome.ids);
  const sizeBytes = outcome.sizeBytes;
  let now = node;
  if (Number(node.sizeBytes ?? 0) !== sizeBytes) {
    try {
      const stats = lstatSync(forFs(path), { bigint: true });
      now = nodeOf({ name: node.name, path, stats }, context.owners, node.extendedAttributes);
    } catch {
      // It was read whole; what became of it afterwards is the next backup's.
    }
  }
  if (outcome.changed || Number(now.sizeBytes ?? 0) !== sizeBytes || now.type !== 'file') {
    context.problem({ kind: 'changed', path: shown(path), why: 'changed while it was read' });
    now = node;
  }
  return { ...now, sizeBytes, content };
}

function saveTree({ packer, counts }: WalkContext, directory: OpenDirectory): string {
  if (directory.unchanged) {
    counts.directoriesUnmodified += 1;
    return directory.before!.id;
  }
  const plaintext = encodeTree(directory.nodes);
  const id = blobId(plaintext);
  packer.add('tree', id, plaintext);
  return hexOf(id);
}

/** A snapshot may name blobs that were lost since: then the file is read again, and they are written again. */
function allThere(table: BlobTable, content: readonly string[]): boolean {
  return content.every((hex) => {
    const id = idFromHex(hex);
    return id !== null && table.find('data', id) !== noSlot;
  });
}

function idsOf(ids: Uint8Array): string[] {
  const hex = hexOf(ids);
  const list: string[] = [];
  for (let at = 0; at < hex.length; at += 64) list.push(hex.slice(at, at + 64));
  return list;
}

const messageOf = (err: unknown): string => (err instanceof Error ? err.message : String(err));
const codeOf = (err: unknown): string | null => (err instanceof Error && 'code' in err ? String(err.code) : null);
