/** Snapshots as a damaged source would have been saved: a sound one, read back, changed here and there, saved again. */
import { createHash } from 'node:crypto';
import { saveStream } from '../../../../activities/backup/engine/save-stream.ts';
import { createPackCache } from '../../../../activities/backup/engine/pack-cache.ts';
import { readContent } from '../../../../activities/backup/engine/read-content.ts';
import type { StreamEntry } from '../../../../activities/backup/engine/stream-entry.ts';
import { openTrees } from '../../../../activities/backup/engine/trees.ts';
import { nodeAt, walkSnapshot } from '../../../../activities/backup/engine/walk-snapshot.ts';
import { createFileDigest } from '../../../../activities/backup/postgres/file-digest.ts';
import type { Repository } from '../../../../activities/backup/repository/attach.ts';
import { loadSnapshot } from '../../../../activities/backup/repository/snapshot.ts';
import type { TreeNode } from '../../../../activities/backup/repository/tree.ts';
import { shown } from '../../../../activities/backup/source/raw-path.ts';
import { hostOf, pointOf, tagsOf } from '../../../../activities/protection/points.ts';
import type { RecoveryPoint } from '../../../../workflows/engine/protection.ts';
import { loadedTable } from '../../../backup/repository/support/repositories.ts';

/** What becomes of a file: other bytes, `null` for gone; a function sees what it was. */
export type Edits = Record<string, (bytes: Buffer) => Buffer | null>;

export interface SavedAgain {
  edits?: Edits;
  /** For every file: changed attributes, times and so on. */
  node?: (path: string, node: TreeNode) => Partial<TreeNode>;
  /** What the snapshot says of itself instead. */
  about?: Partial<RecoveryPoint>;
  tags?: string[];
}

/** @returns the point as it would have been recorded */
export async function savedAgain(
  repository: Repository,
  point: RecoveryPoint,
  { edits = {}, node = () => ({}), about = {}, tags }: SavedAgain,
): Promise<RecoveryPoint> {
  const parent = await loadSnapshot(repository, point.snapshotId);
  const entries = editedEntries(repository, parent.tree, { edits, node });
  const { snapshot } = await saveStream({
    ...{ repository, entries, parent, paths: parent.paths, threads: 1, host: hostOf(point) },
    tags: tags ?? tagsOf(point),
    about: ({ counts }) => {
      const { id: _id, vault: _vault, snapshotId: _snapshot, ...own } = point;
      const files = counts.filesNew + counts.filesChanged + counts.filesUnmodified;
      return { version: 1, runId: 'again', ...own, files, sizeBytes: counts.bytesDone, ...about };
    },
  });
  return pointOf(point.vault, snapshot) as RecoveryPoint;
}

async function* editedEntries(
  repository: Repository,
  tree: string,
  { edits, node: change }: Required<Pick<SavedAgain, 'edits' | 'node'>>,
): AsyncGenerator<StreamEntry> {
  const table = await loadedTable(repository);
  const content = { packs: createPackCache(repository, table), table };
  const left = new Set(Object.keys(edits));
  for await (const entry of walkSnapshot(openTrees(repository, table), tree)) {
    if (entry.kind === 'damaged') throw new Error(entry.why);
    const [path, { content: _content, subtree: _subtree, sizeBytes: _size, ...node }] = [shown(entry.path), entry.node];
    if (entry.node.type === 'dir') yield { path, node };
    if (entry.node.type !== 'file') continue;
    const edit = edits[path];
    left.delete(path);
    const changed = change(path, entry.node);
    const isSame = edit === undefined && Object.keys(changed).length === 0;
    const was = isSame ? Buffer.alloc(0) : await whole(readContent(content, path, entry.node));
    const bytes = edit === undefined ? was : edit(was);
    if (bytes === null) continue;
    yield { path, node: { ...node, ...changed }, sameAs: () => isSame, open: () => once(bytes) };
  }
  if (left.size > 0) throw new Error(`not in the snapshot: ${[...left].join(', ')}`);
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function whole(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/** The bytes of one file of a point. */
export async function fileOf(repository: Repository, point: RecoveryPoint, path: string): Promise<Buffer> {
  const { tree } = await loadSnapshot(repository, point.snapshotId);
  const table = await loadedTable(repository);
  const node = await nodeAt(openTrees(repository, table), tree, path);
  if (node === null) throw new Error(`${path} is not in the snapshot`);
  return whole(readContent({ packs: createPackCache(repository, table), table }, path, node));
}

export const dataPath = '/postgres/data';
const manifestPath = `${dataPath}/backup_manifest`;

/**
 * Files of a base backup as they were on the disk when it was taken: the manifest is of what was read.
 * @param files below PGDATA
 */
export async function damagedBeforeBackup(
  repository: Repository,
  point: RecoveryPoint,
  files: Record<string, (bytes: Buffer) => Buffer>,
): Promise<Edits> {
  const edits: Edits = {};
  let manifest = (await fileOf(repository, point, manifestPath)).toString();
  for (const [file, edit] of Object.entries(files)) {
    const edited = edit(await fileOf(repository, point, `${dataPath}/${file}`));
    edits[`${dataPath}/${file}`] = () => edited;
    manifest = withFile(manifest, file, edited);
  }
  const head = manifest.slice(0, manifest.indexOf('"Manifest-Checksum"'));
  const checksum = createHash('sha256').update(head).digest('hex');
  edits[manifestPath] = () => Buffer.from(`${head}"Manifest-Checksum": "${checksum}"}\n`);
  return edits;
}

function withFile(manifest: string, file: string, bytes: Buffer): string {
  const digest = createFileDigest('CRC32C');
  digest.update(bytes);
  const line = new RegExp(`("Path": "${file}", "Size": )\\d+(,.*"Checksum": ")[0-9a-f]+(")`);
  if (!line.test(manifest)) throw new Error(`${file} is not in the manifest`);
  return manifest.replace(line, `$1${bytes.length}$2${digest.hex()}$3`);
}
