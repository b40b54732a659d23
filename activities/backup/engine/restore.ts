import { closeSync, constants, ftruncateSync, lstatSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { Repository } from '../repository/attach.ts';
import { idFromHex } from '../repository/blob.ts';
import { createBlobTable, noSlot, type BlobTable } from '../repository/blob-table.ts';
import { loadIndex } from '../repository/index-load.ts';
import { sealingOverhead } from '../repository/sealing.ts';
import type { Snapshot } from '../repository/snapshot.ts';
import type { ExtendedAttribute, TreeNode } from '../repository/tree.ts';
import { excludeBy } from '../source/excludes.ts';
import { byteKey, forFs, joinRaw, shown, type RawPath } from '../source/raw-path.ts';
import { restoreXattrs } from '../source/xattrs.ts';
import { startEngine, type Engine } from './engine.ts';
import { PackJobs } from './pack-jobs.ts';
import {
  finishOf,
  finishPath,
  makeDirectory,
  makeHardLink,
  makeSpecial,
  makeSymlink,
  makeTarget,
} from './restore-entries.ts';
import { createFile, finishFile, isFull, type PackJob, type PackOutcome } from './restore-files.ts';
import { openTrees } from './trees.ts';
import { nodeAt, walkSnapshot } from './walk-snapshot.ts';

export interface RestoreOptions {
  repository: Repository;
  snapshot: Snapshot;
  /** Directory to restore into; made when it is not there. What is in it and has another name stays. */
  target: string;
  /** Only what lies at or under this path of the snapshot; then its content goes straight into the target. */
  subpath?: string;
  /** Only paths that match one of these patterns, and what is in them; see `excludeBy`. */
  includes?: readonly string[];
  excludes?: readonly string[];
  /** Makes holes where blobs hold nothing but zeros. */
  sparse?: boolean;
  /** `if-changed` leaves files that are there with the same size and time: an interrupted restore goes on. */
  overwrite?: 'always' | 'if-changed' | 'never';
  threads?: number;
  signal?: AbortSignal;
  onProgress?: (progress: RestoreCounts) => void;
}

export interface RestoreCounts {
  files: number;
  directories: number;
  others: number;
  bytes: number;
  /** Left as they were, by `overwrite`. */
  skipped: number;
  problems: number;
}

export interface RestoreProblem {
  /** In the snapshot. */
  path: string;
  why: string;
}

export interface RestoreResult {
  /** `partial`: what the problems name is missing; everything else is there and was compared with its hash. */
  kind: 'complete' | 'partial';
  counts: RestoreCounts;
  problems: RestoreProblem[];
  seconds: number;
}

/** A file under way. */
interface OpenFile {
  path: RawPath;
  source: string;
  node: TreeNode;
  /** Blobs that are still to come; what is one blob is made and finished by the thread that has it. */
  left: number;
  broken: boolean;
}

const progressEveryMs = 200;
/** So much is gathered before packs are read: what lies in one pack is then mostly wanted at once. */
const windowTargets = 100_000;
const windowBytes = 4 * 2 ** 30;
const jobsPerThread = 2;

/**
 * Writes a snapshot, or a part of it, into a directory. Every blob is compared with its hash before it is written. The
 * caller holds a lock of the repository. Problems of single files are in the result, named by their paths.
 * @throws MusterError REPOSITORY_DAMAGED, SNAPSHOT_UNKNOWN when the subpath is not in it, CONFIG_INVALID when the target
 * is no directory, CREDENTIALS_REFUSED, TARGET_FULL, RESTORE_FAILED
 */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const startedAt = performance.now();
  const table = createBlobTable();
  await loadIndex(options.repository, table);
  const engine = startEngine({ ...options, table });
  const run = new Restore(options, table, engine);
  const ticking = setInterval(() => run.report(), progressEveryMs);
  try {
    await run.all();
    const { counts, problems } = run;
    const kind = problems.length === 0 ? 'complete' : 'partial';
    return { kind, counts, problems, seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    clearInterval(ticking);
    run.report();
    await engine.end();
  }
}

class Restore {
  readonly counts: RestoreCounts = { files: 0, directories: 0, others: 0, bytes: 0, skipped: 0, problems: 0 };
  readonly problems: RestoreProblem[] = [];
  readonly #options: RestoreOptions;
  readonly #table: BlobTable;
  readonly #engine: Engine;
  readonly #jobs: PackJobs;
  readonly #inFlight = new Set<Promise<void>>();
  #files: OpenFile[] = [];
  readonly #directories: { path: RawPath; node: TreeNode }[] = [];
  readonly #links: { path: RawPath; source: string; first: RawPath }[] = [];
  readonly #firstOf = new Map<string, RawPath>();
  readonly #xattrs: [string, readonly ExtendedAttribute[]][] = [];
  #failure: Error | null = null;

  constructor(options: RestoreOptions, table: BlobTable, engine: Engine) {
    this.#options = options;
    this.#table = table;
    this.#engine = engine;
    this.#jobs = new PackJobs(table);
  }

  report(): void {
    this.counts.problems = this.problems.length;
    this.#options.onProgress?.({ ...this.counts });
  }

  async all(): Promise<void> {
    const { repository, snapshot, subpath = '/' } = this.#options;
    const trees = openTrees(repository, this.#table);
    const top = await nodeAt(trees, snapshot.tree, subpath);
    if (top?.subtree === undefined) {
      throw new MusterError('SNAPSHOT_UNKNOWN', `snapshot ${snapshot.id.slice(0, 8)} has no directory ${subpath}`);
    }
    const target = path.resolve(this.#options.target);
    makeTarget(target);
    const choose = chooser(this.#options);
    for await (const entry of walkSnapshot(trees, top.subtree, { enter: (at, node) => choose(shown(at), node) })) {
      this.#options.signal?.throwIfAborted();
      if (entry.kind === 'damaged') this.#problem(shown(entry.path), entry.why);
      else await this.#take(joinRaw(target, relative(entry.path)), shown(entry.path), entry.node);
      if (this.#jobs.targets >= windowTargets || this.#jobs.bytes >= windowBytes) await this.#flush();
    }
    await this.#flush();
    await this.#finishAll();
  }

  async #take(to: RawPath, source: string, node: TreeNode): Promise<void> {
    try {
      if (node.extendedAttributes !== undefined) this.#xattrs.push([byteKey(to), node.extendedAttributes]);
      if (node.type === 'dir') {
        makeDirectory(to);
        this.#directories.push({ path: to, node });
        this.counts.directories += 1;
      } else if (node.type === 'file') this.#takeFile(to, source, node);
      else await this.#takeOther(to, node);
    } catch (err) {
      this.#fileError(source, err);
    }
  }

  async #takeOther(to: RawPath, node: TreeNode): Promise<void> {
    if (node.type === 'socket' || node.type === 'irregular') return;
    if (node.type === 'symlink') makeSymlink(to, node.linkTarget ?? '');
    else await makeSpecial(to, node);
    finishPath(to, node);
    this.counts.others += 1;
  }

  #takeFile(to: RawPath, source: string, node: TreeNode): void {
    if (this.#isLink(to, source, node) || this.#isSkipped(to, node)) return;
    const content = node.content ?? [];
    const entries = content.map((hex) => this.#entryOf(hex));
    const lost = entries.indexOf(null);
    if (lost >= 0) return this.#problem(source, `blob ${content[lost]!.slice(0, 8)} stands in no index`);
    const file = this.#files.push({ path: to, source, node, left: content.length, broken: false }) - 1;
    if (content.length === 1) return this.#jobs.add(entries[0]!, { file, path: to, at: 0, whole: finishOf(node) });
    const fd = createFile(to);
    try {
      ftruncateSync(fd, Number(node.sizeBytes ?? 0));
      if (content.length === 0) this.#finishFile(fd, this.#files[file]!);
    } finally {
      closeSync(fd);
    }
    let at = 0;
    for (const entry of entries) {
      this.#jobs.add(entry!, { file, path: to, at, whole: null });
      at += plaintextLength(this.#table, entry!);
    }
  }

  /** Another name of a file that was met before: linked at the end, when that is there. */
  #isLink(to: RawPath, source: string, node: TreeNode): boolean {
    if (Number(node.links ?? 1) < 2 || node.inode === undefined) return false;
    const key = `${node.deviceId ?? 0}:${node.inode}`;
    const first = this.#firstOf.get(key);
    if (first === undefined) this.#firstOf.set(key, to);
    else this.#links.push({ path: to, source, first });
    return first !== undefined;
  }

  #isSkipped(to: RawPath, node: TreeNode): boolean {
    const { overwrite = 'always' } = this.#options;
    if (overwrite === 'always') return false;
    const stats = lstatSync(forFs(to), { throwIfNoEntry: false });
    if (stats === undefined) return false;
    const { mtimeSeconds } = finishOf(node);
    const same =
      stats.isFile() &&
      stats.size === Number(node.sizeBytes ?? 0) &&
      Math.abs(stats.mtimeMs / 1000 - mtimeSeconds) < 1e-5;
    if (overwrite === 'if-changed' && !same) return false;
    this.counts.skipped += 1;
    return true;
  }

  #entryOf(hex: string): number | null {
    const id = idFromHex(hex);
    const entry = id === null ? noSlot : this.#table.find('data', id);
    return entry === noSlot || this.#table.location(entry) === null ? null : entry;
  }

  /** Reads what was gathered, pack by pack, and waits until all of it is written. */
  async #flush(): Promise<void> {
    const limit = this.#engine.threads.count * jobsPerThread;
    for (const job of this.#jobs.take(this.#options.sparse === true)) {
      while (this.#inFlight.size >= limit) await Promise.race(this.#inFlight);
      this.#throwFailure();
      this.#options.signal?.throwIfAborted();
      this.#ask(job);
    }
    while (this.#inFlight.size > 0) await Promise.race(this.#inFlight);
    this.#throwFailure();
    this.#files = [];
  }

  #ask(job: PackJob): void {
    const settled: Promise<void> = this.#engine.threads
      .ask({ kind: 'restore', job })
      .then((answer) => {
        if (answer.kind === 'restored') this.#taken(job, answer.outcome);
      })
      .catch((err: unknown) => void (this.#failure ??= toMusterError(err)))
      .then(() => void this.#inFlight.delete(settled));
    this.#inFlight.add(settled);
  }

  #taken(job: PackJob, outcome: PackOutcome): void {
    this.counts.bytes += outcome.bytes;
    for (const { file, why } of outcome.failures) this.#broken(this.#files[file]!, why);
    for (const { file: number, whole } of job.targets) {
      const file = this.#files[number]!;
      file.left -= 1;
      if (file.left > 0 || file.broken) continue;
      if (whole !== null) this.counts.files += 1;
      else this.#finishOpen(file);
    }
  }

  /** What is not whole is not left lying about under the name of the file. */
  #broken(file: OpenFile, why: string): void {
    if (file.broken) return;
    file.broken = true;
    this.#problem(file.source, why);
    rmSync(forFs(file.path), { force: true });
  }

  #finishOpen(file: OpenFile): void {
    try {
      const fd = openSync(forFs(file.path), constants.O_WRONLY | constants.O_NOFOLLOW);
      try {
        this.#finishFile(fd, file);
      } finally {
        closeSync(fd);
      }
    } catch (err) {
      this.#fileError(file.source, err);
    }
  }

  #finishFile(fd: number, { node }: OpenFile): void {
    finishFile(fd, finishOf(node));
    this.counts.files += 1;
  }

  /** Links when all files are there, attributes before times, and the deepest directories first. */
  async #finishAll(): Promise<void> {
    for (const { path: to, source, first } of this.#links) {
      try {
        makeHardLink(to, first);
        this.counts.files += 1;
      } catch (err) {
        this.#fileError(source, err);
      }
    }
    const why = this.#xattrs.length === 0 ? null : await restoreXattrs(this.#xattrs);
    if (why !== null) this.#problem('', `extended attributes were not all restored: ${why}`);
    for (const { path: to, node } of this.#directories.toReversed()) {
      try {
        finishPath(to, node);
      } catch (err) {
        this.#fileError(shown(to), err);
      }
    }
  }

  /** A full disk ends it all; anything else is about this entry. */
  #fileError(source: string, err: unknown): void {
    if (isFull(err)) {
      throw new MusterError('TARGET_FULL', `restore into ${this.#options.target}: no space left (at ${source})`, {
        cause: err,
      });
    }
    this.#problem(source, err instanceof Error ? err.message : String(err));
  }

  #problem(source: string, why: string): void {
    this.problems.push({ path: source, why });
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}

function relative(source: RawPath): RawPath {
  return typeof source === 'string' ? source.slice(1) : source.subarray(1);
}

function plaintextLength(table: BlobTable, entry: number): number {
  const { length, uncompressedLength } = table.location(entry)!;
  return uncompressedLength === 0 ? length - sealingOverhead : uncompressedLength;
}

/** Directories on the way to what is included are made, too. */
function chooser({ includes = [], excludes = [] }: RestoreOptions): (at: string, node: TreeNode) => boolean {
  const [isIncluded, isExcluded] = [excludeBy(includes), excludeBy(excludes)];
  const inside = (at: string): boolean => {
    for (let end = at.length; end > 0; end = at.lastIndexOf('/', end - 1))
      if (isIncluded(at.slice(0, end), true)) return true;
    return false;
  };
  return (at, node) => {
    if (isExcluded(at, node.type === 'dir')) return false;
    return includes.length === 0 || node.type === 'dir' || isIncluded(at, false) || inside(at);
  };
}
