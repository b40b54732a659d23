import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { LockMode } from '../../objects/bucket-types.ts';
import type { Repository } from '../repository/attach.ts';
import { pathOf, type ObjectLocks } from '../repository/store.ts';
import { neededFiles, type NeededFile } from './needed-files.ts';
import { readDeadlines, writeDeadlines } from './lock-deadlines.ts';

export interface RenewLocksOptions {
  /** In a bucket with object lock. */
  repository: Repository;
  /** Unix milliseconds: nothing that a snapshot needs may be removable before. */
  untilMs: number;
  /** Default COMPLIANCE: nobody can lift it. */
  mode?: LockMode;
  /** Ask the store about every file, instead of all that are not known and a few that are. */
  askAll?: boolean;
  signal?: AbortSignal;
  onProgress?: (progress: RenewLocksProgress) => void;
}

export interface RenewLocksProgress {
  files: number;
  ofFiles: number;
  renewed: number;
}

export interface RenewLocksResult {
  /** `partial`: a file that snapshots need is not there; `missing` names it, all others are locked. */
  kind: 'renewed' | 'partial';
  files: number;
  /** Files whose lock ends later now. */
  renewed: number;
  /** Files that were asked about one by one. */
  asked: number;
  /** Paths in the repository, and what in snapshots cannot be read. */
  missing: string[];
  untilMs: number;
  seconds: number;
}

const atOnce = 8;
/** Of the files whose lock is known, so many are asked about all the same; one that differs, and all are. */
const samples = 3;
/** Stores keep whole seconds. */
const roundingMs = 1_000;

/**
 * Locks every file that a snapshot needs at least until a moment: where its lock would end earlier, and no other. What
 * was locked is remembered beside the repository, so that a renewal costs one call for each file that is due. The
 * caller holds a lock of the repository.
 * @throws MusterError OBJECT_STORE_REFUSED where the store locks no single files, CONFIG_INVALID, REPOSITORY_DAMAGED
 */
export async function renewLocks(options: RenewLocksOptions): Promise<RenewLocksResult> {
  const startedAt = performance.now();
  const { repository, untilMs } = options;
  if (!(untilMs > Date.now())) throw new MusterError('CONFIG_INVALID', 'locks can only end in the future');
  const locks = await repository.store.objectLocks();
  if (locks === null) {
    const why = 'locks no single objects: make the bucket with object lock, which cannot be added everywhere later';
    throw new MusterError('OBJECT_STORE_REFUSED', `${repository.store.place} ${why}`);
  }
  const { files, unreadable } = await neededFiles(repository);
  const renewal = new Renewal(locks, options, await readDeadlines(repository.store.side));
  try {
    if (options.askAll === true || (await renewal.isWrong(files))) renewal.forget();
    await renewal.run(files);
  } finally {
    const needed = new Set(files.map(({ kind, name }) => pathOf(kind, name)));
    await writeDeadlines(repository.store.side, renewal.deadlines, needed);
  }
  const missing = [...renewal.missing, ...unreadable];
  return {
    kind: missing.length === 0 ? 'renewed' : 'partial',
    ...{ files: files.length, renewed: renewal.renewed, asked: renewal.asked, missing, untilMs },
    seconds: (performance.now() - startedAt) / 1000,
  };
}

class Renewal {
  readonly #locks: ObjectLocks;
  readonly #options: RenewLocksOptions;
  /** Unix milliseconds by path. */
  readonly deadlines: Map<string, number>;
  readonly missing: string[] = [];
  renewed = 0;
  asked = 0;

  constructor(locks: ObjectLocks, options: RenewLocksOptions, deadlines: Map<string, number>) {
    this.#locks = locks;
    this.#options = options;
    this.deadlines = deadlines;
  }

  forget(): void {
    this.deadlines.clear();
  }

  /** Whether the store says of one of a few files that its lock ends before what is remembered. */
  async isWrong(files: readonly NeededFile[]): Promise<boolean> {
    const known = files.filter(({ kind, name }) => this.deadlines.has(pathOf(kind, name)));
    for (let i = 0; i < Math.min(samples, known.length); i++) {
      const { kind, name } = known[Math.floor(Math.random() * known.length)]!;
      const endMs = await this.#ask({ kind, name });
      if (endMs === 'missing' || endMs + roundingMs < this.deadlines.get(pathOf(kind, name))!) return true;
    }
    return false;
  }

  async run(files: readonly NeededFile[]): Promise<void> {
    let [next, done] = [0, 0];
    const lane = async (): Promise<void> => {
      for (let file = files[next++]; file !== undefined; file = files[next++]) {
        this.#options.signal?.throwIfAborted();
        await this.#renew(file);
        done += 1;
        this.#options.onProgress?.({ files: done, ofFiles: files.length, renewed: this.renewed });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
  }

  async #renew(file: NeededFile): Promise<void> {
    const path = pathOf(file.kind, file.name);
    const endMs = this.deadlines.get(path) ?? (await this.#ask(file));
    if (endMs === 'missing') return void this.missing.push(path);
    if (endMs + roundingMs >= this.#options.untilMs) return void this.deadlines.set(path, endMs);
    await this.#retain(file, path);
  }

  async #retain(file: NeededFile, path: string): Promise<void> {
    const { mode = 'COMPLIANCE', untilMs } = this.#options;
    try {
      await this.#locks.retain(file.kind, file.name, { mode, untilMs });
      this.deadlines.set(path, untilMs);
      this.renewed += 1;
    } catch (err) {
      const failure = toMusterError(err);
      if (failure.code === 'OBJECT_UNKNOWN') return void this.missing.push(path);
      // Somebody else has locked it for longer: that no lock may be made shorter is what it is for.
      const endMs = failure.code === 'OBJECT_LOCKED' ? await this.#ask(file) : 0;
      if (endMs === 'missing' || endMs + roundingMs < untilMs) throw failure;
      this.deadlines.set(path, endMs);
    }
  }

  /** When the store says that the lock ends; 0 for a file that has none. */
  async #ask({ kind, name }: NeededFile): Promise<number | 'missing'> {
    this.asked += 1;
    const retention = await this.#locks.retentionOf(kind, name);
    return retention === 'missing' ? retention : (retention?.untilMs ?? 0);
  }
}
