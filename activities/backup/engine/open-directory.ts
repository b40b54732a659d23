import type { FileText } from '../repository/go-text.ts';
import type { TreeNode } from '../repository/tree.ts';
import { sameAttributes } from '../source/attributes.ts';

/** Names that are no UTF-8 apart from all that are. */
export function nameKey(name: FileText): string {
  return typeof name === 'string' ? name : `\0${Buffer.from(name).toString('latin1')}`;
}

/** The entries of a directory in the snapshot before, by `nameKey`, and the id of their tree. */
export interface DirectoryBefore {
  id: string;
  count: number;
  byName: ReadonlyMap<string, TreeNode>;
}

/**
 * A directory whose entries are being gathered. It is complete once it was walked to its end and everything that was
 * reserved is settled; then `onComplete` is called, once.
 */
export class OpenDirectory {
  readonly #nodes: TreeNode[] = [];
  readonly #onComplete: (directory: OpenDirectory) => void;
  #waiting = 0;
  #walked = false;
  #same = 0;
  readonly before: DirectoryBefore | null;

  constructor(before: DirectoryBefore | null, onComplete: (directory: OpenDirectory) => void) {
    this.before = before;
    this.#onComplete = onComplete;
  }

  get nodes(): readonly TreeNode[] {
    return this.#nodes;
  }

  /** Whether nothing in it is another than before, so that its tree is the one that is there. */
  get unchanged(): boolean {
    return this.before !== null && this.#same === this.before.count && this.#same === this.#nodes.length;
  }

  /** An entry will come, or not: `settle` says. */
  reserve(): void {
    this.#waiting += 1;
  }

  settle(node: TreeNode | null): void {
    if (node !== null) this.add(node);
    this.#waiting -= 1;
    this.#finish();
  }

  add(node: TreeNode): void {
    this.#nodes.push(node);
    const before = this.before?.byName.get(nameKey(node.name));
    if (before !== undefined && isSame(before, node)) this.#same += 1;
  }

  /** Nothing more will be reserved. */
  walked(): void {
    this.#walked = true;
    this.#finish();
  }

  #finish(): void {
    if (this.#walked && this.#waiting === 0) this.#onComplete(this);
  }
}

function isSame(before: TreeNode, node: TreeNode): boolean {
  return before.subtree === node.subtree && sameContent(before.content, node.content) && sameAttributes(before, node);
}

function sameContent(a: readonly string[] | null, b: readonly string[] | null): boolean {
  if (a === b) return true;
  return a !== null && b !== null && a.length === b.length && a.every((id, i) => id === b[i]);
}
