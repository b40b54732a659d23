import { hash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, open, readlink, type FileHandle } from 'node:fs/promises';
import { walkSnapshot } from '../../backup/engine/walk-snapshot.ts';
import { isRoot } from '../../backup/engine/restore-files.ts';
import { permissionsOf } from '../../backup/repository/file-mode.ts';
import type { TreeNode } from '../../backup/repository/tree.ts';
import { codeOf } from '../../backup/repository/durable-write.ts';
import { forFs, joinRaw, shown, type RawPath } from '../../backup/source/raw-path.ts';
import { Faults } from './finding.ts';
import { isDrawn } from './sample.ts';
import { piecesOf, type Stored } from './stored.ts';

export interface CompareOptions {
  /** Where the snapshot was restored to. */
  restored: string;
  /** Files whose content is read again. */
  percent: number;
  seed: string;
  signal: AbortSignal;
  onProgress(progress: { files: number; read: number; bytes: number }): void;
}

export interface Compared {
  files: number;
  read: number;
  bytes: number;
  faults: Faults;
}

/** Holds what lies on the disk against the snapshot: everything by kind, size, owner and mode, and files by their content. */
export async function compareFiles(stored: Stored, options: CompareOptions): Promise<Compared> {
  const compared: Compared = { files: 0, read: 0, bytes: 0, faults: new Faults() };
  for await (const entry of walkSnapshot(stored.trees, stored.snapshot.tree)) {
    options.signal.throwIfAborted();
    const at = shown(entry.path);
    if (entry.kind === 'damaged') compared.faults.add(`${at}: ${entry.why}`);
    else await compareEntry(stored, options, compared, { ...entry, at });
  }
  return compared;
}

async function compareEntry(
  stored: Stored,
  { restored, percent, seed, onProgress }: CompareOptions,
  compared: Compared,
  { path, node, at }: { path: RawPath; node: TreeNode; at: string },
): Promise<void> {
  const file = joinRaw(restored, typeof path === 'string' ? path.slice(1) : path.subarray(1));
  const fault = await entryFault(file, node);
  if (fault !== null) compared.faults.add(`${at}: ${fault}`);
  if (node.type !== 'file') return;
  compared.files += 1;
  if (fault !== null || (compared.files > 1 && !isDrawn(percent, seed, at))) return;
  compared.read += 1;
  const wrong = await contentFault(stored, file, node);
  if (wrong === null) compared.bytes += Number(node.sizeBytes ?? 0);
  else compared.faults.add(`${at}: ${wrong}`);
  onProgress({ files: compared.files, read: compared.read, bytes: compared.bytes });
}

const kinds: Partial<Record<TreeNode['type'], (stats: Stats) => boolean>> = {
  file: (stats) => stats.isFile(),
  dir: (stats) => stats.isDirectory(),
  symlink: (stats) => stats.isSymbolicLink(),
  fifo: (stats) => stats.isFIFO(),
  dev: (stats) => stats.isBlockDevice(),
  chardev: (stats) => stats.isCharacterDevice(),
};

async function entryFault(file: RawPath, node: TreeNode): Promise<string | null> {
  const isKind = kinds[node.type];
  if (isKind === undefined) return null; // sockets are not restored
  let stats: Stats;
  try {
    stats = await lstat(forFs(file));
  } catch (err) {
    if (codeOf(err) !== 'ENOENT' && codeOf(err) !== 'ENOTDIR') throw err;
    return 'is not there';
  }
  if (!isKind(stats)) return `is no ${node.type}`;
  const size = Number(node.sizeBytes ?? 0);
  if (node.type === 'file' && stats.size !== size) return `has ${stats.size} bytes, it had ${size}`;
  // Who is not root restores everything as his own.
  if (isRoot && (stats.uid !== node.uid || stats.gid !== node.gid)) {
    return `belongs to ${stats.uid}:${stats.gid}, it belonged to ${node.uid}:${node.gid}`;
  }
  if (node.type === 'symlink') {
    const target = await readlink(forFs(file), { encoding: 'buffer' });
    return target.equals(bytesOf(node.linkTarget ?? '')) ? null : 'leads elsewhere';
  }
  const [mode, wanted] = [stats.mode & 0o7777, permissionsOf(node.mode)];
  return mode === wanted ? null : `has the mode ${mode.toString(8)}, it had ${wanted.toString(8)}`;
}

const bytesOf = (text: RawPath): Buffer => (typeof text === 'string' ? Buffer.from(text) : Buffer.from(text));

async function contentFault({ table }: Stored, file: RawPath, node: TreeNode): Promise<string | null> {
  const pieces = piecesOf(table, node);
  if (pieces === null) return 'not all of its pieces stand in the index';
  const handle = await open(forFs(file));
  try {
    let at = 0;
    for (const { id, length } of pieces) {
      if (hash('sha256', await readExactly(handle, at, length)) !== id) return `differs from byte ${at} on`;
      at += length;
    }
    return null;
  } finally {
    await handle.close();
  }
}

async function readExactly(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}
