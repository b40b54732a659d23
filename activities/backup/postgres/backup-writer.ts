import { chownSync, fchownSync, mkdirSync, openSync, symlinkSync, writev, writevSync } from 'node:fs';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { FileSyncs } from '../../drivers/postgres/file-syncs.ts';
import { serverOwner } from '../../drivers/postgres/owner.ts';
import type { TarEntry } from '../../drivers/postgres/tar.ts';
import type { DeliveryTarget } from './base-backup.ts';

/** What may wait to be written. More would not stay in a processor's own cache, and then costs twice as much to write. */
const waitingBytesMax = 512 << 10;
/** A write that takes longer meets a disk that is behind: what follows waits in a thread of its own, until it is fast again. */
const patienceMsDefault = 50;
/** Of a small file no part goes aside. */
const atOnceBytesMax = 256 << 10;

interface OpenFile {
  target: string;
  /** Not on their way yet. */
  pieces: Buffer[];
  bytes: number;
  /** `null` until the first bytes are on their way. */
  fd: number | null;
}

interface WriteJob {
  kind: 'write';
  fd: number;
  pieces: Buffer[];
  bytes: number;
}

type Job = WriteJob | { kind: 'then'; run: () => void };

/**
 * Writes the files of a base backup below a directory, owned by the server's owner, straight out of the buffers they
 * were read into. While the kernel takes them at once they are written at once: what was just read still lies in the
 * processor's cache, and a way through the threads costs more than it spares. When the disk is slow, writes go aside, one
 * behind the other, and nothing else of this process waits for it.
 */
export class BackupWriter implements Omit<DeliveryTarget, 'entry'> {
  readonly #dir: string;
  readonly #syncs: FileSyncs;
  readonly #patienceMs: number;
  readonly #owner = serverOwner();
  #current: OpenFile | null = null;
  readonly #jobs: Job[] = [];
  #waitingBytes = 0;
  #isWriting = false;
  #isSlow: boolean;
  #failure: Error | null = null;
  #wake: (() => void)[] = [];

  /** With `sync` each file is on disk when `end` resolves; the directories are not. 0 for `patienceMs`: all writes go aside. */
  constructor(dir: string, { sync, patienceMs = patienceMsDefault }: { sync: boolean; patienceMs?: number }) {
    this.#dir = path.resolve(dir);
    this.#patienceMs = patienceMs;
    this.#isSlow = patienceMs <= 0;
    this.#syncs = new FileSyncs({ sync: sync, failed: (err) => this.#fail(err), changed: () => this.#changed() });
  }

  entry({ name, kind, linkTarget }: Pick<TarEntry, 'name' | 'kind' | 'linkTarget'>): void {
    this.#finishCurrent();
    const target = path.join(this.#dir, name);
    if (target !== this.#dir && !target.startsWith(this.#dir + path.sep)) {
      throw new MusterError('DATABASE_UNREACHABLE', `archive entry ${name} leads outside`);
    }
    if (this.#failure !== null) return;
    if (kind === 'file') this.#current = { target, pieces: [], bytes: 0, fd: null };
    else if (kind === 'symlink') this.#try(() => symlinkSync(linkTarget, target));
    else this.#try(() => this.#makeDirectory(target));
  }

  data(bytes: Buffer): void {
    this.#current?.pieces.push(bytes);
    if (this.#current !== null) this.#current.bytes += bytes.length;
  }

  handOver(release: () => void): void {
    if (this.#current !== null) this.#writeAside(this.#current);
    this.#later({ kind: 'then', run: release });
  }

  get full(): boolean {
    return this.#failure !== null || this.#waitingBytes >= waitingBytesMax || this.#syncs.full;
  }

  /** Resolves when there is room for more; throws what went wrong with any file so far. */
  async room(): Promise<void> {
    while (this.full) {
      this.#check();
      await this.#change();
    }
    this.#check();
  }

  /** Resolves when everything is written. */
  async end(): Promise<void> {
    await this.settle();
    this.#check();
  }

  /** Resolves when nothing is being written any more, whatever came of it. */
  async settle(): Promise<void> {
    this.#finishCurrent();
    while (this.#isWriting || !this.#syncs.idle) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => void this.#wake.push(resolve));
  }

  #changed(): void {
    for (const one of this.#wake.splice(0)) one();
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #fail(err: unknown): void {
    this.#failure ??= err instanceof Error ? err : new Error(String(err));
  }

  #try(work: () => void): void {
    try {
      work();
    } catch (err) {
      this.#fail(err);
    }
  }

  #makeDirectory(target: string): void {
    mkdirSync(target, { recursive: true, mode: 0o700 });
    if (this.#owner !== null) chownSync(target, this.#owner.uid, this.#owner.gid);
  }

  #finishCurrent(): void {
    const file = this.#current;
    if (file === null) return;
    this.#current = null;
    if (file.fd === null && file.bytes <= atOnceBytesMax) return this.#try(() => this.#writeAtOnce(file));
    this.#writeAside(file);
    const { fd } = file;
    if (fd !== null) this.#later({ kind: 'then', run: () => this.#syncs.finish(fd) });
  }

  #writeAtOnce(file: OpenFile): void {
    const fd = this.#open(file);
    try {
      for (let { pieces } = file; pieces.length > 0;) pieces = behind(pieces, writevSync(fd, pieces));
    } finally {
      this.#syncs.finish(fd);
    }
  }

  #writeAside(file: OpenFile): void {
    const { pieces, bytes } = file;
    if (bytes === 0) return;
    [file.pieces, file.bytes] = [[], 0];
    this.#try(() => file.fd ?? this.#open(file));
    if (file.fd === null) return;
    this.#waitingBytes += bytes;
    this.#later({ kind: 'write', fd: file.fd, pieces, bytes });
  }

  #open(file: OpenFile): number {
    const fd = openSync(file.target, 'wx', 0o600);
    file.fd = fd;
    if (this.#owner !== null) fchownSync(fd, this.#owner.uid, this.#owner.gid);
    return fd;
  }

  #later(job: Job): void {
    this.#jobs.push(job);
    this.#next();
  }

  #next(): void {
    while (!this.#isWriting) {
      const job = this.#jobs.shift();
      if (job === undefined) return;
      if (job.kind === 'then') job.run();
      else this.#write(job);
    }
  }

  // Files are written from their beginning on: the place of a write is where the last one ended.
  #write(job: WriteJob): void {
    const startedAtMs = performance.now();
    if (this.#isSlow) {
      this.#isWriting = true;
      writev(job.fd, job.pieces, null, (err, written) => {
        this.#isWriting = false;
        if (err !== null) this.#fail(err);
        this.#wrote(job, { startedAtMs, written: err === null ? written : job.bytes });
        this.#next();
        this.#changed();
      });
      return;
    }
    let written = job.bytes;
    this.#try(() => (written = writevSync(job.fd, job.pieces)));
    this.#wrote(job, { startedAtMs, written });
  }

  #wrote(job: WriteJob, { startedAtMs, written }: { startedAtMs: number; written: number }): void {
    this.#isSlow = performance.now() - startedAtMs >= this.#patienceMs;
    const pieces = behind(job.pieces, written);
    if (pieces.length > 0) this.#jobs.unshift({ ...job, pieces, bytes: job.bytes - written });
    this.#waitingBytes -= written;
  }
}

/** What is left of pieces of which so many bytes are written: a disk that fills up takes a part, and says why next time. */
function behind(pieces: Buffer[], writtenBytes: number): Buffer[] {
  let left = writtenBytes;
  for (const [index, piece] of pieces.entries()) {
    if (left < piece.length) return [piece.subarray(left), ...pieces.slice(index + 1)];
    left -= piece.length;
  }
  return [];
}
