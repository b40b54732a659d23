import { attachRepository, type Repository } from '../../../../activities/backup/repository/attach.ts';
import { blobId, hexOf } from '../../../../activities/backup/repository/blob.ts';
import { createBlobTable, type BlobTable, type BlobType } from '../../../../activities/backup/repository/blob-table.ts';
import { createIndexWriter } from '../../../../activities/backup/repository/index-write.ts';
import { loadIndex } from '../../../../activities/backup/repository/index-load.ts';
import { createPackBuilder, type PackBuilder } from '../../../../activities/backup/repository/pack.ts';
import { initRepository } from '../../../../activities/backup/repository/repository.ts';
import { saveSnapshot, type Snapshot } from '../../../../activities/backup/repository/snapshot.ts';
import type { StoreAddress } from '../../../../activities/backup/repository/store.ts';
import { encodeTree, type TreeNode } from '../../../../activities/backup/repository/tree.ts';

export const password = 'correct horse';
/** Keys that cost next to nothing: what is tested is not scrypt. */
export const cheap = { N: 1024, r: 8, p: 1 };

export function directoryAddress(path: string): StoreAddress {
  return { kind: 'directory', path };
}

export function initCheaply(path: string): Promise<Repository> {
  return initRepository({ address: directoryAddress(path), password, scrypt: cheap });
}

/** Opens what is open already once more, without deriving a key. */
export function reopen(repository: Repository): Promise<Repository> {
  return attachRepository(repository.describe());
}

export async function loadedTable(repository: Repository): Promise<BlobTable> {
  const table = createBlobTable();
  await loadIndex(repository, table);
  return table;
}

/** Files by path, as they are to be in a snapshot. */
export type Files = Record<string, Uint8Array>;

/**
 * Writes a snapshot of files that are only in memory, each of one blob: packs, then the index, then the snapshot.
 * Paths are relative; directories come of themselves.
 */
export async function writeSnapshot(
  repository: Repository,
  files: Files,
  extra: Partial<Snapshot> = {},
): Promise<Snapshot> {
  const writer = createWriter(repository);
  const tree = await writeTree(writer, files);
  await writer.finish();
  const snapshot = { time: new Date().toISOString(), tree, paths: ['/memory'], hostname: 'memory', username: 'root' };
  return saveSnapshot(repository, { ...snapshot, ...extra });
}

interface Writer {
  add(type: BlobType, plaintext: Uint8Array): Promise<string>;
  finish(): Promise<void>;
}

function createWriter(repository: Repository): Writer {
  const builders = { data: createPackBuilder(repository, 'data'), tree: createPackBuilder(repository, 'tree') };
  const index = createIndexWriter(repository);
  const known = new Set<string>();

  async function end(builder: PackBuilder): Promise<void> {
    if (builder.blobCount === 0) return;
    const pack = builder.finish();
    await repository.store.write('data', pack.name, [pack.bytes]);
    await index.add(pack);
  }

  return {
    async add(type, plaintext) {
      const id = blobId(plaintext);
      const key = type + hexOf(id);
      if (!known.has(key)) builders[type].add(id, plaintext);
      known.add(key);
      if (builders[type].full) await end(builders[type]);
      return hexOf(id);
    },
    async finish() {
      await end(builders.data);
      await end(builders.tree);
      await index.finish();
    },
  };
}

async function writeTree(writer: Writer, files: Files): Promise<string> {
  const nodes: TreeNode[] = [];
  const below = new Map<string, Files>();
  for (const [path, bytes] of Object.entries(files)) {
    const [first = '', ...rest] = path.split('/');
    if (rest.length === 0)
      nodes.push(fileNode(first, bytes, bytes.length === 0 ? [] : [await writer.add('data', bytes)]));
    else below.set(first, { ...below.get(first), [rest.join('/')]: bytes });
  }
  for (const [name, inner] of below) {
    nodes.push({ ...directoryNode(name), subtree: await writeTree(writer, inner) });
  }
  return writer.add('tree', encodeTree(nodes));
}

const times = { mtime: '2024-02-29T12:00:00.5Z', atime: '2024-02-29T12:00:00.5Z', ctime: '2024-02-29T12:00:00.5Z' };
const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

export function fileNode(name: string, bytes: Uint8Array, content: readonly string[]): TreeNode {
  return { name, type: 'file', mode: 0o644, ...times, ...owner, sizeBytes: bytes.length, links: 1, content };
}

export function directoryNode(name: string): TreeNode {
  return { name, type: 'dir', mode: 2 ** 31 + 0o755, ...times, ...owner, content: null };
}
