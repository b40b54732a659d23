import { hostname } from 'node:os';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Repository } from '../repository/attach.ts';
import { createBlobTable } from '../repository/blob-table.ts';
import { loadIndex } from '../repository/index-load.ts';
import { listSnapshots, nanosOf, saveSnapshot, type Snapshot } from '../repository/snapshot.ts';
import { excludeBy } from '../source/excludes.ts';
import { readOwners } from '../source/owners.ts';
import { sourcePaths, targetTree } from '../source/targets.ts';
import { scanXattrs } from '../source/xattrs.ts';
import type { ExtendedAttribute } from '../repository/tree.ts';
import { adoptOrphans } from './adopt.ts';
import { emptyCounts, type BackupCounts, type SourceProblem } from './backup-result.ts';
import { endMarked, startEngine } from './engine.ts';
import { FileQueue } from './file-queue.ts';
import type { Added } from './requests.ts';
import { describeSnapshot, nanosOfDate, type SnapshotLabels } from './snapshot-labels.ts';
import { setMark } from './open-marks.ts';
import { openTrees } from './trees.ts';
import { walk, type WalkContext } from './walk.ts';

export interface BackupOptions extends SnapshotLabels {
  repository: Repository;
  /** Files and directories; relative ones from the working directory. */
  paths: readonly string[];
  /** Patterns as restic's: `*` and `?` within a name, `**` over directories; without a slash at the start, at any depth. */
  excludes?: readonly string[];
  oneFileSystem?: boolean;
  /** The snapshot to compare with; default: the newest of the same host and paths. `none` reads every file. */
  parent?: Snapshot | 'none';
  /** False leaves extended attributes out and does not ask for the tools that read them. */
  xattrs?: boolean;
  threads?: number;
  compress?: boolean;
  signal?: AbortSignal;
  onProgress?: (progress: BackupProgress) => void;
  /** Asked when everything is durable and before there is a snapshot. What it throws ends the backup, and there is none. */
  confirm?: () => Promise<SourceProblem[]>;
}

export interface BackupProgress extends Readonly<BackupCounts> {
  problems: number;
}

/**
 * A snapshot, and whether it holds all that was asked for. `partial`: it is there and can be restored, but what the
 * problems name is missing in it or doubtful, so it is no proof of anything.
 */
export interface BackupResult {
  kind: 'complete' | 'partial';
  snapshot: Snapshot;
  counts: BackupCounts;
  added: { data: Added; trees: Added };
  /** Packs of an earlier backup that was killed. */
  adopted: number;
  problems: SourceProblem[];
  seconds: number;
}

const progressEveryMs = 200;

/**
 * Saves files and directories as one snapshot. The caller holds a lock of the repository. Order of writing: packs, then
 * the index, then the snapshot; so whatever ends it early leaves no snapshot that lacks something, and what is there
 * already is found by the next one.
 * @throws MusterError SOURCE_UNREADABLE, REPOSITORY_DAMAGED, TARGET_FULL, OBJECT_STORE_UNREACHABLE
 */
export async function backup(options: BackupOptions): Promise<BackupResult> {
  const startedAt = performance.now();
  const { repository } = options;
  const signal = options.signal ?? new AbortController().signal;
  const paths = sourcePaths(options.paths);
  const table = createBlobTable();
  const problems: SourceProblem[] = [];
  const [adopted, xattrs, parent] = await Promise.all([
    loadIndex(repository, table).then((loaded) => adoptOrphans(repository, table, loaded)),
    options.xattrs === false ? new Map<string, ExtendedAttribute[]>() : readXattrs(paths, problems, signal),
    parentOf(options, paths),
  ]);
  const mark = await setMark(repository);
  const engine = startEngine({ ...options, table });
  const counts = emptyCounts();
  const queue = new FileQueue(engine.threads, signal);
  const report = (): void => {
    // Of files that are being read, too: a large one takes hours.
    const bytesDone = counts.bytesDone + engine.board.bytesRead - queue.bytesTold;
    options.onProgress?.({ ...counts, bytesDone, problems: problems.length });
  };
  const ticking = setInterval(report, progressEveryMs);
  try {
    const excludes = excludeBy(options.excludes ?? []);
    const context: WalkContext = {
      ...{ queue, table, xattrs, counts, signal, packer: engine.trees, trees: openTrees(repository, table) },
      ...{ owners: readOwners(), isExcluded: excludes, oneFileSystem: options.oneFileSystem === true },
      problem: (problem) => problems.push(problem),
    };
    const tree = await saveRoot(context, paths, parent);
    const added = await engine.flush();
    problems.push(...((await options.confirm?.()) ?? []));
    signal.throwIfAborted();
    const saved = { tree, parent, counts, added, problems };
    const snapshot = await saveSnapshot(repository, describeSnapshot(options, paths, saved));
    const kind = problems.every(({ kind: one }) => one === 'before-damaged') ? 'complete' : 'partial';
    return { kind, snapshot, counts, added, adopted, problems, seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    clearInterval(ticking);
    queue.end();
    await endMarked(engine, mark);
    report();
  }
}

async function saveRoot(context: WalkContext, paths: readonly string[], parent: Snapshot | null): Promise<string> {
  let tree: string | null = null;
  await walk(
    context,
    { path: '/', target: targetTree(paths), device: null },
    parent?.tree ?? null,
    (id) => (tree = id),
  );
  await context.queue.drain();
  if (tree === null) throw new MusterError('INTERNAL', 'the walk ended before its root was complete');
  return tree;
}

async function readXattrs(
  paths: readonly string[],
  problems: SourceProblem[],
  signal: AbortSignal,
): Promise<Map<string, ExtendedAttribute[]>> {
  const found = new Map<string, ExtendedAttribute[]>();
  for (const path of paths) {
    const scan = await scanXattrs(path, signal);
    if (scan.kind === 'unavailable') {
      problems.push({ kind: 'no-xattrs', path, why: scan.why });
      break;
    }
    for (const [key, attributes] of scan.byPath) found.set(key, attributes);
  }
  return found;
}

/** A snapshot from the future is no parent: a clock was wrong, then or now. */
async function parentOf(options: BackupOptions, paths: readonly string[]): Promise<Snapshot | null> {
  if (options.parent === 'none') return null;
  if (options.parent !== undefined) return options.parent;
  const { snapshots } = await listSnapshots(options.repository);
  const host = options.host ?? hostname();
  const now = nanosOfDate(options.time ?? new Date());
  const same = snapshots.filter(
    (one) =>
      one.hostname === host &&
      one.paths.length === paths.length &&
      paths.every((path) => one.paths.includes(path)) &&
      nanosOf(one) <= now,
  );
  return same.at(-1) ?? null;
}
