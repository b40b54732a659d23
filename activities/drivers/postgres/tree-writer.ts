import { chown, mkdir, open, symlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { serverOwner } from './owner.ts';
import type { TarEntry, TarSink } from './tar.ts';

const PIECE_BYTES = 1 << 20;
const WAITING_BYTES_MAX = 16 << 20;
/** Small files cost a round of system calls each, so a few are written side by side. */
const FILES_AT_ONCE = 4;

interface OpenFile {
  target: string;
  waiting: Buffer[];
  waitingBytes: number;
  /** Set once the file is too large to be written in one piece. */
  handle: Promise<FileHandle> | null;
  tail: Promise<void>;
}

/** Writes an archive's entries below a directory, owned by the server's owner, large pieces at a time. */
export class TreeWriter implements TarSink {
  readonly #dir: string;
  readonly #owner = serverOwner();
  readonly #running = new Set<Promise<void>>();
  #current: OpenFile | null = null;
  #waitingBytes = 0;
  #failure: Error | null = null;
  /** Directories are made in order; files wait for the ones before them. */
  #dirs: Promise<void> = Promise.resolve();
  files = 0;

  constructor(dir: string) {
    this.#dir = path.resolve(dir);
  }

  entry(entry: TarEntry): void {
    this.#finishCurrent();
    const target = path.join(this.#dir, entry.name);
    if (target !== this.#dir && !target.startsWith(this.#dir + path.sep)) {
      throw new MusterError('DATABASE_UNREACHABLE', `archive entry ${entry.name} leads outside`);
    }
    if (entry.kind === 'file') {
      this.files++;
      this.#current = { target, waiting: [], waitingBytes: 0, handle: null, tail: this.#dirs };
    } else {
      this.#dirs = this.#dirs.then(() => this.#makeOther(entry, target));
      this.#track(this.#dirs);
    }
  }

  data(bytes: Buffer): void {
    const file = this.#current;
    if (file === null) return;
    file.waiting.push(bytes);
    file.waitingBytes += bytes.length;
    this.#waitingBytes += bytes.length;
    if (file.waitingBytes >= PIECE_BYTES) this.#flush(file);
  }

  /** Resolves when there is room for more; throws what went wrong with any file so far. */
  async room(): Promise<void> {
    while (this.#waitingBytes > WAITING_BYTES_MAX || this.#running.size > FILES_AT_ONCE * 8) {
      await Promise.race(this.#running);
      this.#check();
    }
    this.#check();
  }

  get full(): boolean {
    return this.#failure !== null || this.#waitingBytes > WAITING_BYTES_MAX || this.#running.size > FILES_AT_ONCE * 8;
  }

  /** Resolves when everything is written. */
  async end(): Promise<void> {
    this.#finishCurrent();
    await this.settle();
    this.#check();
  }

  /** Resolves when nothing is being written any more, whatever came of it. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running);
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  async #makeOther(entry: TarEntry, target: string): Promise<void> {
    if (entry.kind === 'symlink') return symlink(entry.linkTarget, target);
    await mkdir(target, { recursive: true, mode: 0o700 });
    if (this.#owner !== null) await chown(target, this.#owner.uid, this.#owner.gid);
  }

  #finishCurrent(): void {
    const file = this.#current;
    if (file === null) return;
    this.#current = null;
    this.#flush(file);
    this.#track(file.tail.then(() => file.handle?.then((handle) => handle.close())));
  }

  #flush(file: OpenFile): void {
    const [chunks, bytes] = [file.waiting, file.waitingBytes];
    [file.waiting, file.waitingBytes] = [[], 0];
    file.tail = file.tail.then(async () => {
      file.handle ??= this.#open(file.target);
      await writeAll(await file.handle, chunks, bytes, file.target);
      this.#waitingBytes -= bytes;
    });
    this.#track(file.tail);
  }

  async #open(target: string): Promise<FileHandle> {
    const handle = await open(target, 'wx', 0o600);
    if (this.#owner !== null) await handle.chown(this.#owner.uid, this.#owner.gid);
    return handle;
  }

  #track(work: Promise<unknown>): void {
    const tracked: Promise<void> = work.then(
      () => void this.#running.delete(tracked),
      (err: unknown) => {
        this.#failure ??= err instanceof Error ? err : new Error(String(err));
        this.#running.delete(tracked);
      },
    );
    this.#running.add(tracked);
  }
}

async function writeAll(handle: FileHandle, chunks: Buffer[], bytes: number, target: string): Promise<void> {
  if (bytes === 0) return;
  const { bytesWritten } = await handle.writev(chunks);
  if (bytesWritten < bytes)
    throw new MusterError('DATABASE_UNREACHABLE', `${target}: only ${bytesWritten} of ${bytes} bytes written`);
}
