import { markUsed } from '../../activities/backup/engine/marks.ts';
import { openTrees, type Trees } from '../../activities/backup/engine/trees.ts';
import { walkSnapshot } from '../../activities/backup/engine/walk-snapshot.ts';
import { createBlobTable, type BlobTable } from '../../activities/backup/repository/blob-table.ts';
import { loadIndex } from '../../activities/backup/repository/index-load.ts';
import { sealingOverhead } from '../../activities/backup/repository/sealing.ts';
import type { Snapshot } from '../../activities/backup/repository/snapshot.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { manySnapshots, type ChoiceOptions } from './choice.ts';
import { formatBytes, formatCount, formatTable } from '../format.ts';
import { parseChoice } from './parse.ts';
import { tellDamaged } from './snapshots.ts';
import type { Body, RepoOptions, Session } from './action.ts';
import { withRepository } from './session.ts';

export interface StatsFlags extends RepoOptions, ChoiceOptions {
  mode: string;
  /** False with `--no-lock`. */
  lock: boolean;
}

/** Says how large snapshots are: restored, or as they are stored. */
export const stats: Body<StatsFlags> = async (session, flags, [ids = []]) => {
  const mode = parseChoice('--mode', flags.mode, ['restore-size', 'raw-data']);
  return withRepository(session, flags.lock ? 'shared' : 'none', async ({ repository, signal }) => {
    const { snapshots, damaged } = await manySnapshots(repository, ids as readonly string[], flags);
    const table = createBlobTable();
    await loadIndex(repository, table);
    const known = { trees: openTrees(repository, table), table, snapshots, signal };
    if (mode === 'raw-data') tellRaw(session, snapshots.length, await rawData(known));
    else tellRestored(session, snapshots.length, await restoreSize(known));
    const exit = tellDamaged(session.screen, damaged);
    return exit === exitCodes.met ? exitCodes.met : exit;
  });
};

interface Known {
  trees: Trees;
  table: BlobTable;
  snapshots: readonly Snapshot[];
  signal: AbortSignal;
}

interface Restored {
  files: number;
  directories: number;
  bytes: number;
}

/** Each snapshot by itself; a file with several names counts once in it. */
async function restoreSize({ trees, snapshots, signal }: Known): Promise<Restored> {
  const sum = { files: 0, directories: 0, bytes: 0 };
  for (const { tree } of snapshots) {
    const linked = new Set<string>();
    for await (const entry of walkSnapshot(trees, tree)) {
      signal.throwIfAborted();
      if (entry.kind === 'damaged') throw new MusterError('REPOSITORY_DAMAGED', entry.why);
      const { type, links = 1, deviceId = 0, inode = 0, sizeBytes = 0 } = entry.node;
      if (type === 'dir') sum.directories += 1;
      if (type !== 'file') continue;
      sum.files += 1;
      const key = `${deviceId}:${inode}`;
      if (Number(links) < 2 || !linked.has(key)) sum.bytes += Number(sizeBytes);
      if (Number(links) > 1) linked.add(key);
    }
  }
  return sum;
}

interface Raw {
  blobs: number;
  bytes: number;
  uncompressedBytes: number;
}

/** What the snapshots need of the repository, each blob once. */
async function rawData({ trees, table, snapshots }: Known): Promise<Raw> {
  await markUsed(trees, table, snapshots, ({ snapshot, path, why }) => {
    throw new MusterError('REPOSITORY_DAMAGED', `snapshot ${snapshot}: ${path}: ${why}`);
  });
  const sum = { blobs: 0, bytes: 0, uncompressedBytes: 0 };
  table.forEach((slot) => {
    const location = table.isMarked(slot, 'used') ? table.location(slot) : null;
    if (location === null) return;
    sum.blobs += 1;
    sum.bytes += location.length;
    sum.uncompressedBytes += location.uncompressedLength || location.length - sealingOverhead;
  });
  return sum;
}

function tellRestored({ screen }: Session, count: number, { files, directories, bytes }: Restored): void {
  if (screen.json) {
    screen.value({
      total_size: bytes,
      total_file_count: files + directories,
      total_files: files,
      snapshots_count: count,
    });
  }
  screen.say(
    figures([
      ['Snapshots', formatCount(count)],
      ['Files', formatCount(files)],
      ['Directories', formatCount(directories)],
      ['Size, restored', formatBytes(bytes)],
    ]),
  );
}

function tellRaw({ screen }: Session, count: number, { blobs, bytes, uncompressedBytes }: Raw): void {
  const ratio = bytes === 0 ? 1 : uncompressedBytes / bytes;
  if (screen.json) {
    screen.value({
      ...{ total_size: bytes, total_uncompressed_size: uncompressedBytes, compression_ratio: ratio },
      ...{ total_blob_count: blobs, snapshots_count: count },
    });
  }
  screen.say(
    figures([
      ['Snapshots', formatCount(count)],
      ['Blobs', formatCount(blobs)],
      ['Size, uncompressed', formatBytes(uncompressedBytes)],
      ['Size, stored', formatBytes(bytes)],
      ['Compression', `${ratio.toFixed(2)}x`],
    ]),
  );
}

function figures(rows: string[][]): string {
  return formatTable([{ title: '' }, { title: '', align: 'right' }], rows).trimStart();
}
