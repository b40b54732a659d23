import type { Repository } from '../repository/attach.ts';
import { writeIndexFile, type IndexedPack } from '../repository/index-file.ts';
import { unflatten, type FlatPack } from './flat-pack.ts';

/** An index file is written when so many blobs wait for one, as in restic, … */
const blobsPerFile = 50_000;
/** … or when the first of them has waited this long: what a killed backup has written is found by the next one. */
const longestWaitMs = 60_000;

/** Gathers packs that are durable and writes them into index files behind whoever stores them. */
export class IndexCollector {
  readonly #repository: Repository;
  readonly #nowMs: () => number;
  readonly #supersedes: readonly string[];
  #packs: (() => IndexedPack)[] = [];
  #blobs = 0;
  #sinceMs = 0;
  #writing: Promise<unknown> = Promise.resolve();
  /** Names of the files written. */
  readonly written: string[] = [];

  constructor(repository: Repository, options: { nowMs?: () => number; supersedes?: readonly string[] } = {}) {
    this.#repository = repository;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#supersedes = options.supersedes ?? [];
  }

  add(pack: IndexedPack): void {
    this.#add(() => pack, pack.entries.length);
  }

  /** One of a thread; it is unfolded when it is written. */
  addFlat(pack: FlatPack): void {
    this.#add(() => unflatten(pack), pack.count);
  }

  #add(pack: () => IndexedPack, blobs: number): void {
    if (this.#packs.length === 0) this.#sinceMs = this.#nowMs();
    this.#packs.push(pack);
    this.#blobs += blobs;
    if (this.#blobs >= blobsPerFile || this.#nowMs() - this.#sinceMs >= longestWaitMs) this.#write();
  }

  /** Writes what is left and waits until every file is durable. Throws what the first failed write threw. */
  async flush(): Promise<void> {
    if (this.#packs.length > 0) this.#write();
    await this.#writing;
  }

  #write(): void {
    const packs = this.#packs.map((unfold) => unfold());
    this.#packs = [];
    this.#blobs = 0;
    const before = this.#writing;
    this.#writing = before.then(async () => {
      this.written.push(await writeIndexFile(this.#repository, { packs, supersedes: this.#supersedes }));
    });
    // `flush` throws it.
    this.#writing.catch(() => undefined);
  }
}
