import { MusterError } from '../../../workflows/engine/errors.ts';
import { blobId, hexOf } from '../repository/blob.ts';
import { encodeTree, type TreeNode } from '../repository/tree.ts';
import type { BackupCounts } from './backup-result.ts';
import { loadBefore } from './before.ts';
import { nameKey, OpenDirectory, type DirectoryBefore } from './open-directory.ts';
import type { Packer } from './packer.ts';
import type { SourceProblem } from './backup-result.ts';
import type { Trees } from './trees.ts';

interface Place {
  directory: OpenDirectory;
  /** How it stands in its parent; given late, when its entry comes after its content. */
  node: { value: TreeNode };
  children: Map<string, Place>;
  before: DirectoryBefore | null;
}

export interface StreamTreeContext {
  packer: Packer;
  trees: Trees;
  counts: BackupCounts;
  problem: (problem: SourceProblem) => void;
}

/**
 * The directories of a stream of entries. They may come in any order, so all stay open until the end: for sources with
 * thousands of directories, not millions.
 */
export class StreamTree {
  readonly #context: StreamTreeContext;
  readonly #root: Place;
  #tree: string | null = null;

  private constructor(context: StreamTreeContext, before: DirectoryBefore | null) {
    this.#context = context;
    this.#root = this.#open(before, 'root', (id) => (this.#tree = id));
  }

  static async begin(context: StreamTreeContext, beforeId: string | null): Promise<StreamTree> {
    return new StreamTree(context, beforeId === null ? null : await loadBefore(context, beforeId));
  }

  /** The directory that holds a path, and what the path was in the snapshot before. */
  async parentOf(path: string): Promise<{ directory: OpenDirectory; name: string; before: TreeNode | null }> {
    const names = namesOf(path);
    const name = names.pop()!;
    let at = this.#root;
    for (const one of names) at = await this.#child(at, one);
    return { directory: at.directory, name, before: at.before?.byName.get(nameKey(name)) ?? null };
  }

  /** A directory with attributes of its own. */
  async directory(path: string, node: Omit<TreeNode, 'content' | 'subtree' | 'sizeBytes'>): Promise<void> {
    let at = this.#root;
    for (const one of namesOf(path)) at = await this.#child(at, one);
    at.node.value = { ...node, name: at.node.value.name, type: 'dir', content: null };
  }

  /** Nothing more comes. @returns the id of the root tree once every file is settled; null before */
  end(): void {
    close(this.#root);
  }

  get tree(): string | null {
    return this.#tree;
  }

  async #child(parent: Place, name: string): Promise<Place> {
    const known = parent.children.get(name);
    if (known !== undefined) return known;
    const old = parent.before?.byName.get(nameKey(name));
    const before =
      old?.type === 'dir' && old.subtree !== undefined ? await loadBefore(this.#context, old.subtree) : null;
    parent.directory.reserve();
    this.#context.counts.directories += 1;
    const place = this.#open(before, name, (subtree) => parent.directory.settle({ ...place.node.value, subtree }));
    parent.children.set(name, place);
    return place;
  }

  #open(before: DirectoryBefore | null, name: string, onTree: (id: string) => void): Place {
    const directory = new OpenDirectory(before, (complete) => onTree(this.#save(complete)));
    return { directory, before, node: { value: plainDirectory(name) }, children: new Map() };
  }

  #save(directory: OpenDirectory): string {
    const { packer, counts } = this.#context;
    if (directory.unchanged) {
      counts.directoriesUnmodified += 1;
      return directory.before!.id;
    }
    const plaintext = encodeTree(directory.nodes);
    const id = blobId(plaintext);
    packer.add('tree', id, plaintext);
    return hexOf(id);
  }
}

function close(place: Place): void {
  for (const child of place.children.values()) close(child);
  place.directory.walked();
}

function namesOf(path: string): string[] {
  const names = path.split('/').slice(1);
  if (path.startsWith('/') && names.every((name) => name !== '' && name !== '.' && name !== '..')) return names;
  throw new MusterError('INTERNAL', `"${path}" cannot be the path of something to save`);
}

const epoch = '1970-01-01T00:00:00Z';
/** Go's bit for directories, and rwx for the owner. */
const directoryMode = 2 ** 31 + 0o700;

function plainDirectory(name: string): TreeNode {
  const times = { mtime: epoch, atime: epoch, ctime: epoch };
  return { name, type: 'dir', mode: directoryMode, ...times, uid: 0, gid: 0, content: null };
}
