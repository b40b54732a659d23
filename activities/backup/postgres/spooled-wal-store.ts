import path from 'node:path';
import { readFile } from 'node:fs/promises';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { codeOf } from '../repository/durable-write.ts';
import { DirectoryWalArchive } from './directory-wal-archive.ts';
import { usedPrefix } from './partial-content.ts';
import { archiveWal, type WalArchive } from './wal-archive.ts';
import { bytesContent, fileContent } from './wal-content.ts';
import { parseWalName, segmentStart } from './wal-name.ts';
import type { OpenSegment, WalStore } from './wal-store.ts';

export interface SpoolOptions {
  /** Where the WAL is to come to. */
  archive: WalArchive;
  /** Absolute path of a directory for this archive alone, on a disk that outlives the process. */
  dir: string;
  /** What there is of a segment that is not full goes to the archive at least this often; default 10 s. */
  partialMs?: number;
  /** Longest pause after a failure; the first is a quarter of a second. Default 30 s. */
  retryMs?: number;
  onArchived?(name: string): void;
}

export interface SpoolStatus {
  /** Segments that came to the archive from here. */
  archivedSegments: number;
  /** Full segments that are not in the archive yet. */
  waitingSegments: number;
  /** Everything before it is in the archive; `null`: not known yet. */
  safeLsn: bigint | null;
  /** Why the archive took nothing the last time; `null` when it did. */
  failure: MusterError | null;
}

/** What another attempt cannot cure. */
const finalCodes = ['WAL_CONFLICT', 'CHECKSUM_MISMATCH'];
const partialSuffix = '.partial';
const firstRetryMs = 250;

/**
 * A disk before an archive that may be slow, or away: a receiver writes here and never waits for the archive. Full segments
 * follow in their order; of the one that is being filled, what is on disk follows from time to time and whenever the stream
 * breaks. A process that is started again sends what the one before left here.
 */
export class SpooledWalStore implements WalStore, AsyncDisposable {
  readonly archive: WalArchive;
  readonly #options: SpoolOptions;
  readonly #spool: DirectoryWalArchive;
  #tail: Promise<unknown> = Promise.resolve();
  #open: PartialOnDisk | null = null;
  /** Of the partial segment in the archive that came from here last. */
  #sent: { name: string; bytes: number } = { name: '', bytes: 0 };
  #segmentBytes = 0;
  #partialAtMs = Number.NEGATIVE_INFINITY;
  /** What there is of the open segment is to go now. */
  #isPressing = false;
  #waiting = 0;
  #archived = 0;
  #safeLsn: bigint | null = null;
  #failure: MusterError | null = null;
  #isClosed = false;
  #wake: (() => void) | null = null;
  #running: Promise<void> = Promise.resolve();

  private constructor(options: SpoolOptions) {
    this.#options = options;
    this.archive = options.archive;
    this.#spool = new DirectoryWalArchive(options.dir);
  }

  /** Sends what lies in the spool first, so that nothing in it depends on a server that may be gone. @throws MusterError */
  static async open(options: SpoolOptions): Promise<SpooledWalStore> {
    const store = new SpooledWalStore(options);
    for (const name of await store.#namesHere('whole')) await store.#send(name);
    for (const name of await store.#namesHere('partial')) await store.#sendLeftover(name);
    store.#running = store.#run();
    return store;
  }

  status(): SpoolStatus {
    const [archivedSegments, waitingSegments] = [this.#archived, this.#waiting];
    return { archivedSegments, waitingSegments, safeLsn: this.#safeLsn, failure: this.#failure };
  }

  /** A failure that no further attempt cures: nothing is sent any more. */
  get isStuck(): boolean {
    return this.#failure !== null && finalCodes.includes(this.#failure.code);
  }

  async *list(): AsyncGenerator<string> {
    yield* this.#spool.list();
    yield* this.archive.list();
  }

  async openSegment(name: string, segmentBytes: number): Promise<OpenSegment> {
    this.#segmentBytes = segmentBytes;
    const segment = await this.#spool.openSegment(name, segmentBytes);
    const open: PartialOnDisk = { name, writtenBytes: 0, syncedBytes: 0 };
    this.#open = open;
    return {
      write: async (offset, pieces) => {
        await segment.write(offset, pieces);
        open.writtenBytes = pieces.reduce((end, piece) => end + piece.length, offset);
      },
      sync: async () => {
        const { writtenBytes } = open;
        await segment.sync();
        open.syncedBytes = writtenBytes;
      },
      finish: async () => {
        const outcome = await segment.finish();
        this.#open = null;
        this.#waiting++;
        this.#awaken();
        return outcome;
      },
      close: async () => {
        await segment.close();
        open.syncedBytes = open.writtenBytes;
        // The stream broke: this may be all there will ever be of it.
        this.#isPressing = true;
        this.#awaken();
      },
    };
  }

  /** Resolves when everything that is on disk here is in the archive. @throws MusterError when one attempt does not do it */
  async flush(): Promise<void> {
    this.#isPressing = true;
    await this.#pass();
  }

  /** Sends nothing more; what has not been sent stays in the spool. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#awaken();
    await this.#running;
    await this.#tail;
  }

  async #run(): Promise<void> {
    const { partialMs = 10_000, retryMs = 30_000 } = this.#options;
    let pauseMs = firstRetryMs;
    while (!this.#isClosed && !this.isStuck) {
      const isDone = await this.#pass().then(
        () => true,
        () => false,
      );
      if (isDone && (this.#waiting > 0 || this.#isPressing)) continue;
      pauseMs = isDone ? firstRetryMs : Math.min(pauseMs * 2, retryMs);
      await this.#nap(isDone ? partialMs : pauseMs);
    }
  }

  /** One at a time. */
  #pass(): Promise<void> {
    const pass = this.#tail.then(() => this.#sendAll());
    this.#tail = pass.catch(() => undefined);
    return pass;
  }

  async #sendAll(): Promise<void> {
    try {
      for (const name of await this.#namesHere('whole')) await this.#send(name);
      for (const name of await this.#namesHere('partial')) {
        const current = this.#open?.name;
        // An older one belongs to a timeline that was left: nothing will be added to it.
        if (current !== undefined && name < current) await this.#sendLeftover(name);
      }
      await this.#sendPartial();
      this.#failure = null;
    } catch (err) {
      this.#failure = toMusterError(err, 'OBJECT_STORE_UNREACHABLE');
      throw this.#failure;
    }
  }

  async #send(name: string): Promise<void> {
    const file = this.#file(name);
    const content = await fileContent(file);
    this.#segmentBytes = content.sizeBytes;
    await archiveWal(this.archive, name, content);
    await this.archive.remove(`${name}${partialSuffix}`);
    await this.#spool.remove(name);
    this.#isSafe(name, content.sizeBytes);
    this.#archived++;
    this.#options.onArchived?.(name);
  }

  async #sendLeftover(name: string): Promise<void> {
    const content = await fileContent(this.#file(`${name}${partialSuffix}`));
    const used = await usedPrefix(content.read());
    const isWhole = (await this.archive.get(name)) !== null;
    if (used > 0 && !isWhole) await this.#keepPartial(name, used);
    await this.#spool.remove(`${name}${partialSuffix}`);
  }

  async #sendPartial(): Promise<void> {
    const { partialMs = 10_000 } = this.#options;
    const [open, isPressing] = [this.#open, this.#isPressing];
    this.#isPressing = false;
    if (open === null || (!isPressing && performance.now() - this.#partialAtMs < partialMs)) return;
    const { name, syncedBytes } = open;
    const known = this.#sent.name === name ? this.#sent.bytes : 0;
    if (syncedBytes <= known) return;
    if (!(await this.#keepPartial(name, syncedBytes))) return;
    this.#partialAtMs = performance.now();
    this.#sent = { name, bytes: syncedBytes };
    if ((await this.#namesHere('whole')).length === 0) this.#isSafe(name, syncedBytes);
  }

  /** Whether there was one still: meanwhile it may have become a full segment. */
  async #keepPartial(name: string, bytes: number): Promise<boolean> {
    const file = this.#file(`${name}${partialSuffix}`);
    const whole = await readFile(file).catch((cause: unknown) => {
      if (codeOf(cause) === 'ENOENT') return null;
      throw new MusterError('SOURCE_UNREADABLE', `${file} cannot be read (${codeOf(cause)})`, { cause });
    });
    if (whole === null) return false;
    const content = bytesContent(whole.subarray(0, bytes));
    // What came from here may be replaced by more of the same; anything else is compared first.
    if (this.#sent.name === name) await this.archive.replace(`${name}${partialSuffix}`, content);
    else await archiveWal(this.archive, `${name}${partialSuffix}`, content);
    return true;
  }

  #isSafe(name: string, bytes: number): void {
    const parsed = parseWalName(name, this.#segmentBytes);
    if (parsed?.kind !== 'segment') return;
    const lsn = segmentStart(parsed.segment, this.#segmentBytes) + BigInt(bytes);
    if (this.#safeLsn === null || lsn > this.#safeLsn) this.#safeLsn = lsn;
  }

  /** Segments here, oldest first, by the name that they have or will have. */
  async #namesHere(which: 'whole' | 'partial'): Promise<string[]> {
    const [whole, partial]: [string[], string[]] = [[], []];
    for await (const name of this.#spool.list()) {
      if (/^[0-9A-F]{24}$/.test(name)) whole.push(name);
      else if (name.endsWith(partialSuffix)) partial.push(name.slice(0, -partialSuffix.length));
    }
    this.#waiting = whole.length;
    return (which === 'whole' ? whole : partial).toSorted();
  }

  #file(name: string): string {
    return path.join(this.#options.dir, name);
  }

  #awaken(): void {
    this.#wake?.();
  }

  #nap(ms: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }
}

/** The segment that a receiver fills. */
interface PartialOnDisk {
  name: string;
  writtenBytes: number;
  syncedBytes: number;
}
