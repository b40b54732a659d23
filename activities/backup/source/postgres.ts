import { MusterError } from '../../../workflows/engine/errors.ts';
import { createPackCache } from '../engine/pack-cache.ts';
import { readContent } from '../engine/read-content.ts';
import type { Cut, StreamEntry } from '../engine/stream-entry.ts';
import { openTrees } from '../engine/trees.ts';
import { nodeAt, walkSnapshot } from '../engine/walk-snapshot.ts';
import {
  manifestName,
  type BackupEntry,
  type BackupFacts,
  type StoredBackup,
  type Tablespace,
} from '../postgres/backup-entry.ts';
import type { BaseBackup } from '../postgres/base-backup.ts';
import type { Repository } from '../repository/attach.ts';
import { createBlobTable } from '../repository/blob-table.ts';
import { goModeOf, permissionsOf } from '../repository/file-mode.ts';
import { formatTime, parseTime } from '../repository/go-time.ts';
import { loadIndex } from '../repository/index-load.ts';
import type { Snapshot } from '../repository/snapshot.ts';
import type { TreeNode } from '../repository/tree.ts';
import { shown } from './raw-path.ts';

/** Where things lie in a snapshot: `data` is a PGDATA as `restic restore` brings it back. */
const root = '/postgres';
const dataPath = `${root}/data`;
const tablespacesPath = `${root}/tablespaces`;
const factsPath = `${root}/backup.json`;

/** The paths of such a snapshot. */
export const basePaths: readonly string[] = [root];

/**
 * Relations are cut at pages, sixteen at a time: a change costs its neighbourhood, not what follows it. Smaller pieces
 * would save more where changes are few and cost more in index and time everywhere.
 */
const pages: Cut = { kind: 'fixed', bytes: 131_072 };
/** Main, free space map, visibility map and init forks, and their segments (storage/file layout of PostgreSQL). */
const relation = /\/\d+(_fsm|_vm|_init)?(\.\d+)?$/;
const typeBits = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;

/** A base backup as a stream to save. Its facts come last, when they are known. */
export async function* baseBackupEntries(backup: BaseBackup): AsyncGenerator<StreamEntry> {
  for await (const entry of backup.entries) yield streamEntry(entry);
  const facts = Buffer.from(JSON.stringify(backup.facts()));
  yield fileEntry(factsPath, { mode: 0o600, mtimeMs: backup.facts().endedAtMs }, () => once(facts));
}

function streamEntry(entry: BackupEntry): StreamEntry {
  const { tablespace, kind, linkTarget } = entry;
  const tree = tablespace === null ? dataPath : `${tablespacesPath}/${tablespace.oid}`;
  const path = entry.path === '' ? tree : `${tree}/${entry.path}`;
  if (kind === 'file') {
    return { ...fileEntry(path, entry, () => entry.body), ...(relation.test(path) && { cut: pages }) };
  }
  const node = nodeOf(kind === 'directory' ? 'dir' : 'symlink', typeBits[kind], entry);
  return { path, node: kind === 'symlink' ? { ...node, linkTarget } : node };
}

type Shown = Pick<BackupEntry, 'mode' | 'mtimeMs'>;

function fileEntry(path: string, shownAs: Shown, open: () => AsyncIterable<Uint8Array>): StreamEntry {
  return { path, node: nodeOf('file', typeBits.file, shownAs), open };
}

function nodeOf(type: TreeNode['type'], bits: number, { mode, mtimeMs }: Shown): StreamEntry['node'] {
  const time = formatTime(BigInt(Math.round(mtimeMs)) * 1_000_000n);
  return { name: '', type, mode: goModeOf(bits | mode), mtime: time, atime: time, ctime: time, uid: 0, gid: 0 };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/**
 * A base backup in a repository, to recover from. The caller holds a lock of the repository.
 * @throws MusterError SNAPSHOT_UNKNOWN when the snapshot is of something else, REPOSITORY_DAMAGED
 */
export async function storedBaseBackup(repository: Repository, snapshot: Snapshot): Promise<StoredBackup> {
  const table = createBlobTable();
  await loadIndex(repository, table);
  const trees = openTrees(repository, table);
  const content = { packs: createPackCache(repository, table), table };
  const factsNode = await nodeAt(trees, snapshot.tree, factsPath);
  if (factsNode === null) {
    throw new MusterError('SNAPSHOT_UNKNOWN', `snapshot ${snapshot.id.slice(0, 8)} is no base backup of PostgreSQL`);
  }
  const facts = JSON.parse((await whole(readContent(content, factsPath, factsNode))).toString()) as BackupFacts;

  async function* treeEntries(path: string, tablespace: Tablespace | null): AsyncGenerator<BackupEntry> {
    const top = await nodeAt(trees, snapshot.tree, path);
    if (top?.subtree === undefined) return;
    for await (const entry of walkSnapshot(trees, top.subtree)) {
      const at = shown(entry.path).slice(1);
      if (entry.kind === 'damaged') throw new MusterError('REPOSITORY_DAMAGED', `${path}/${at}: ${entry.why}`);
      yield backupEntry(entry.node, { tablespace, path: at, body: readContent(content, `${path}/${at}`, entry.node) });
    }
  }

  return {
    facts,
    async *entries() {
      let manifest: BackupEntry | null = null;
      for await (const entry of treeEntries(dataPath, null)) {
        if (entry.path === manifestName) manifest = entry;
        else yield entry;
      }
      for (const space of facts.tablespaces) yield* treeEntries(`${tablespacesPath}/${space.oid}`, space);
      if (manifest === null) throw new MusterError('REPOSITORY_DAMAGED', `${dataPath}/${manifestName} is missing`);
      yield manifest;
    },
  };
}

function backupEntry(node: TreeNode, at: Pick<BackupEntry, 'tablespace' | 'path' | 'body'>): BackupEntry {
  return {
    ...at,
    kind: node.type === 'dir' ? 'directory' : node.type === 'symlink' ? 'symlink' : 'file',
    mode: permissionsOf(node.mode),
    mtimeMs: Number((parseTime(node.mtime) ?? 0n) / 1_000_000n),
    sizeBytes: Number(node.sizeBytes ?? 0),
    linkTarget: node.linkTarget === undefined ? '' : shown(node.linkTarget),
  };
}

async function whole(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}
