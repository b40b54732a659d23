import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { createFixedChunker } from '../kernels/chunker.ts';
import type { Repository } from '../repository/attach.ts';
import { idFromHex } from '../repository/blob.ts';
import { createBlobTable, noSlot, type BlobTable } from '../repository/blob-table.ts';
import { loadIndex } from '../repository/index-load.ts';
import { saveSnapshot, type Snapshot } from '../repository/snapshot.ts';
import type { TreeNode } from '../repository/tree.ts';
import { sameAttributes } from '../source/attributes.ts';
import { adoptOrphans } from './adopt.ts';
import type { BackupProgress, BackupResult } from './backup.ts';
import { emptyCounts, type BackupCounts, type SourceProblem } from './backup-result.ts';
import { createCutter, type Cutter } from './cutter.ts';
import { endMarked, startEngine } from './engine.ts';
import { setMark } from './open-marks.ts';
import { createFileCutter } from './file-cutter.ts';
import { PieceQueue } from './piece-queue.ts';
import { describeSnapshot, type SnapshotLabels } from './snapshot-labels.ts';
import type { Cut, StreamEntry } from './stream-entry.ts';
import { StreamTree } from './stream-tree.ts';
import { TaskLanes } from './task-lanes.ts';
import { openTrees } from './trees.ts';

export interface SaveStreamOptions extends SnapshotLabels {
  repository: Repository;
  entries: AsyncIterable<StreamEntry>;
  /** Of the snapshot: what it is a backup of, in place of paths. */
  paths: readonly string[];
  /** To compare with; null reads everything. */
  parent: Snapshot | null;
  threads?: number;
  signal?: AbortSignal;
  onProgress?: (progress: BackupProgress) => void;
  /**
   * Asked when everything is durable and before there is a snapshot: the source's last word. What it throws ends the
   * backup, and there is none.
   */
  confirm?: () => Promise<SourceProblem[]>;
}

const progressEveryMs = 200;
/** Attributes that are asked for at once. */
const refreshesAtOnce = 16;

/**
 * Saves a stream of entries as one snapshot. The caller holds a lock of the repository. An entry whose body fails ends
 * the backup, unless the source turns it into a problem itself: what cannot be read to its end has no known content.
 */
export async function saveStream(options: SaveStreamOptions): Promise<BackupResult> {
  const startedAt = performance.now();
  const { repository, parent } = options;
  const table = createBlobTable();
  const adopted = await adoptOrphans(repository, table, await loadIndex(repository, table));
  const mark = await setMark(repository);
  const engine = startEngine({ ...options, table });
  const counts = emptyCounts();
  const problems: SourceProblem[] = [];
  const report = (): void => options.onProgress?.({ ...counts, problems: problems.length });
  const ticking = setInterval(report, progressEveryMs);
  try {
    const problem = (one: SourceProblem): void => void problems.push(one);
    const context = { packer: engine.trees, trees: openTrees(repository, table), counts, problem };
    const tree = await StreamTree.begin(context, parent?.tree ?? null);
    const saver = new Saver({
      tree,
      counts,
      table,
      problem,
      pieces: new PieceQueue(engine.threads),
      refreshes: new TaskLanes(refreshesAtOnce),
      cutters: cuttersOf(repository),
    });
    for await (const entry of options.entries) {
      options.signal?.throwIfAborted();
      await saver.save(entry);
    }
    const root = await saver.end();
    const added = await engine.flush();
    problems.push(...((await options.confirm?.()) ?? []));
    options.signal?.throwIfAborted();
    const saved = { tree: root, parent, counts, added, problems };
    const snapshot = await saveSnapshot(repository, describeSnapshot(options, options.paths, saved));
    const kind = problems.every((one) => one.kind === 'before-damaged') ? 'complete' : 'partial';
    return { kind, snapshot, counts, added, adopted, problems, seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    clearInterval(ticking);
    await endMarked(engine, mark);
    report();
  }
}

/** A cutter for each way of cutting, made when it is first needed. */
function cuttersOf(repository: Repository): (cut: Cut) => Cutter {
  const made = new Map<number, Cutter>();
  return (cut) => {
    const bytes = cut.kind === 'fixed' ? cut.bytes : 0;
    let cutter = made.get(bytes);
    if (cutter === undefined) {
      cutter =
        bytes === 0
          ? createFileCutter(repository.describe())
          : createCutter(createFixedChunker(bytes), new Uint8Array(2 * bytes));
      made.set(bytes, cutter);
    }
    return cutter;
  };
}

interface SaverContext {
  tree: StreamTree;
  counts: BackupCounts;
  table: BlobTable;
  pieces: PieceQueue;
  refreshes: TaskLanes;
  problem: (problem: SourceProblem) => void;
  cutters: (cut: Cut) => Cutter;
}

class Saver {
  readonly #context: SaverContext;

  constructor(context: SaverContext) {
    this.#context = context;
  }

  async save(entry: StreamEntry): Promise<void> {
    const { tree, counts } = this.#context;
    if (entry.node.type === 'dir') return tree.directory(entry.path, entry.node);
    const { directory, name, before } = await tree.parentOf(entry.path);
    const node: TreeNode = { ...entry.node, name, content: null };
    if (entry.open === undefined) {
      counts.others += 1;
      directory.add(node);
    } else if (before !== null && this.#isSame(entry, before)) {
      counts.bytesDone += Number(before.sizeBytes ?? 0);
      if (entry.refresh === undefined) {
        counts.filesUnmodified += 1;
        return directory.add(before);
      }
      directory.reserve();
      await this.#context.refreshes.run(async () => directory.settle(await this.#refreshed(entry, before)));
    } else {
      counts[before === null ? 'filesNew' : 'filesChanged'] += 1;
      directory.reserve();
      await this.#read(entry, (content, sizeBytes) =>
        directory.settle(content === null ? null : { ...node, ...entry.after?.(), content, sizeBytes }),
      );
    }
  }

  async end(): Promise<string> {
    const { tree, pieces, refreshes } = this.#context;
    tree.end();
    await refreshes.drain();
    await pieces.drain();
    if (tree.tree === null) throw new MusterError('INTERNAL', 'the stream ended before its root was complete');
    return tree.tree;
  }

  #isSame({ sameAs }: StreamEntry, before: TreeNode): boolean {
    const { table } = this.#context;
    if (before.type !== 'file' || before.content === null || sameAs?.(before) !== true) return false;
    return before.content.every((hex) => {
      const id = idFromHex(hex);
      return id !== null && table.find('data', id) !== noSlot;
    });
  }

  /** The file of the snapshot before with the attributes of now; null where the entry is a problem by name. */
  async #refreshed(entry: StreamEntry, before: TreeNode): Promise<TreeNode | null> {
    const { counts } = this.#context;
    try {
      const now: TreeNode = { ...before, ...(await entry.refresh!(before)) };
      counts[sameAttributes(before, now) ? 'filesUnmodified' : 'filesChanged'] += 1;
      return now;
    } catch (err) {
      this.#failed(entry, err);
      return null;
    }
  }

  /** Notes what the failure of an entry is. @throws MusterError where it is the failure of the whole backup */
  #failed(entry: StreamEntry, err: unknown): void {
    const failure = toMusterError(err, 'SOURCE_UNREADABLE');
    const known = entry.whenFailed?.(failure) ?? null;
    if (known !== null) return this.#context.problem(known);
    const { code, message } = failure;
    throw new MusterError(code, `${entry.path}: ${message}`, { cause: err });
  }

  async #read(entry: StreamEntry, done: (content: string[] | null, sizeBytes: number) => void): Promise<void> {
    const { pieces, cutters, counts } = this.#context;
    const cutter = cutters(entry.cut ?? { kind: 'content' });
    const content: string[] = [];
    let [pending, ended, sizeBytes] = [0, false, 0];
    const settle = (): void => {
      if (ended && pending === 0) done(content, sizeBytes);
    };
    const keep = (piece: Uint8Array): void => {
      const at = content.push('') - 1;
      pending += 1;
      pieces.add(piece, (id) => {
        content[at] = id;
        pending -= 1;
        settle();
      });
    };
    cutter.begin();
    try {
      for await (const chunk of entry.open!()) {
        sizeBytes += chunk.length;
        counts.bytesDone += chunk.length;
        feed(cutter, chunk, keep);
        const room = pieces.room();
        if (room !== null) await room;
      }
    } catch (err) {
      this.#failed(entry, err);
      // Pieces of it that are under way find nobody waiting: what they stored a prune gives back.
      return done(null, 0);
    }
    cutter.end(keep);
    ended = true;
    settle();
  }
}

function feed(cutter: Cutter, chunk: Uint8Array, keep: (piece: Uint8Array) => void): void {
  for (let at = 0; at < chunk.length;) {
    const room = cutter.free;
    const count = Math.min(room.length, chunk.length - at);
    room.set(chunk.subarray(at, at + count));
    cutter.take(count, keep);
    at += count;
  }
}
