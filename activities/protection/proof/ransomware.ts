import { MusterError } from '../../../workflows/engine/errors.ts';
import type { ProofChecks, ProofFinding, RecoveryPoint } from '../../../workflows/engine/protection.ts';
import type { Trees } from '../../backup/engine/trees.ts';
import { nodeAt } from '../../backup/engine/walk-snapshot.ts';
import { readBlob } from '../../backup/repository/read-blob.ts';
import { loadSnapshot, type Snapshot } from '../../backup/repository/snapshot.ts';
import type { TreeNode } from '../../backup/repository/tree.ts';
import { alarmOf } from './alarm.ts';
import { compareTrees, type ChangedFile, type TreeChanges } from './compare-trees.ts';
import { isScrambledFile } from './entropy.ts';
import { unknown } from './finding.ts';
import { Draw } from './sample.ts';
import { piecesOf, type Stored } from './stored.ts';

/** So many changed files are looked at; each costs up to three pieces to read, six where it looks encrypted. */
const lookedAt = 128;
const windowBytes = 4_096;

export interface AlarmOptions {
  point: RecoveryPoint;
  before: RecoveryPoint | null;
  checks: ProofChecks;
  /** Files that the point lists. */
  files: number;
  /** Which files are looked at. */
  seed: string;
  signal: AbortSignal;
  onProgress(looked: number): void;
}

/**
 * Compares a point with the one before: how much changed, and whether what changed looks encrypted. No findings where
 * there is nothing to compare with: a first point, or one whose predecessor was pruned.
 */
export async function ransomwareFindings(stored: Stored, options: AlarmOptions): Promise<ProofFinding[]> {
  const { point, before, checks, files, seed } = options;
  if (before === null || before.vault !== point.vault) return [];
  if ((await stored.repository.store.sizeOf('snapshot', before.snapshotId)) === null) return [];
  const draw = new Draw<ChangedFile>(lookedAt, seed);
  try {
    const roots = {
      before: await rootOf(stored.trees, await loadSnapshot(stored.repository, before.snapshotId), before.kind),
      now: await rootOf(stored.trees, stored.snapshot, point.kind),
    };
    const changes = await compareTrees(roots, { trees: stored.trees, ignore: ignored(point.kind), draw });
    if ('damaged' in changes) return [notCompared(before, changes.damaged)];
    const looked = await lookAt(stored, draw.items, changes, options);
    const filesBefore = files - changes.appeared + changes.vanished;
    return alarmOf({ ...changes, filesBefore, filesNow: files, looked }, point.resource, checks);
  } catch (err) {
    if (err instanceof MusterError && err.code === 'REPOSITORY_DAMAGED') return [notCompared(before, err.message)];
    throw err;
  }
}

/** Where what was saved begins: of a directory itself, which may lie elsewhere at another site. */
async function rootOf(trees: Trees, { tree, paths }: Snapshot, kind: string): Promise<string> {
  const [only] = paths;
  if (kind !== 'directory' || paths.length !== 1 || only === undefined) return tree;
  return (await nodeAt(trees, tree, only))?.subtree ?? tree;
}

function notCompared(before: RecoveryPoint, why: string): ProofFinding {
  return unknown({ check: 'change-rate', subject: before.id, detail: `it cannot be compared with: ${why}` });
}

/** WAL is another each time, and as even as what is written into it. */
function ignored(kind: string): (path: string) => boolean {
  return kind === 'postgres' ? (path) => path === '/postgres/data/pg_wal' : () => false;
}

async function lookAt(
  stored: Stored,
  files: readonly ChangedFile[],
  { vanished }: TreeChanges,
  { signal, onProgress }: AlarmOptions,
): Promise<{ judged: number; scrambled: string[] }> {
  const found = { judged: 0, scrambled: [] as string[] };
  for (const [at, { path, before, now }] of files.entries()) {
    signal.throwIfAborted();
    onProgress(at + 1);
    // A new name alone destroys nothing; in place of one that went it may be the same file under another.
    if (before === null && vanished === 0) continue;
    const verdict = await isScrambled(stored, now);
    if (verdict === null) continue;
    found.judged += 1;
    // What looked like that before is sealed by whoever owns it.
    if (verdict && (before === null || (await isScrambled(stored, before)) !== true)) found.scrambled.push(path);
  }
  return found;
}

async function isScrambled(stored: Stored, node: TreeNode): Promise<boolean | null> {
  const size = Number(node.sizeBytes ?? 0);
  const places = [0, Math.floor(size / 2), size - windowBytes].filter((at, i) => i === 0 || at >= windowBytes);
  const windows: Uint8Array[] = [];
  for (const at of places) windows.push(await windowAt(stored, node, at));
  return isScrambledFile(windows);
}

/** Some bytes of a file from a place on, as far as the piece goes in which it lies. */
async function windowAt({ repository, table }: Stored, node: TreeNode, place: number): Promise<Uint8Array> {
  let from = 0;
  for (const { id, length } of piecesOf(table, node) ?? []) {
    if (place < from + length) {
      const bytes = await readBlob(repository, table, 'data', Buffer.from(id, 'hex'));
      return bytes.subarray(place - from, place - from + windowBytes);
    }
    from += length;
  }
  return new Uint8Array();
}
