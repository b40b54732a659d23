import { chownSync, fchownSync, mkdirSync, openSync, symlinkSync, write, writeSync } from 'node:fs';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { FileSyncs } from './file-syncs.ts';
import { serverOwner } from './owner.ts';
import type { TarEntry, TarSink } from './tar.ts';

const PIECE_BYTES = 1 << 20;
/** Pieces that may be filled or on their way to the disk. */
const PIECES_MAX = 16;

interface OpenFile {
  target: string;
  /** Filled up to `pieceBytes`; `null` while there is nothing to write. */
  piece: Buffer | null;
  pieceBytes: number;
  /** `null` while all of it is still in its first piece. */
  fd: number | null;
  writtenBytes: number;
  writing: number;
  isComplete: boolean;
}

/**
 * Writes an archive's entries below a directory, owned by the server's owner. What arrives is copied into large pieces
 * that are used again and again, and whole pieces are written aside. A file that fits into one, as most of a cluster do,
 * is written at once: that takes a few microseconds, of which a way through the threads would cost a multiple.
 */
export class TreeWriter implements TarSink {
  readonly #dir: string;
  readonly #syncs: FileSyncs;
  readonly #owner = serverOwner();
  #current: OpenFile | null = null;
  readonly #idlePieces: Buffer[] = [];
  #busyPieces = 0;
  #failure: Error | null = null;
  #wake: (() => void)[] = [];
  files = 0;

  /** With `sync` each file is on disk when `end` resolves; the directories are not. */
  constructor(dir: string, options: { sync?: boolean } = {}) {
    this.#dir = path.resolve(dir);
    this.#syncs = new FileSyncs({
      sync: options.sync ?? false,
      failed: (err) => this.#fail(err),
      changed: () => this.#changed(),
    });
  }

  entry(entry: TarEntry): void {
    this.#finishCurrent();
    const target = path.join(this.#dir, entry.name);
    if (target !== this.#dir && !target.startsWith(this.#dir + path.sep)) {
      throw new MusterError('DATABASE_UNREACHABLE', `archive entry ${entry.name} leads outside`);
    }
    if (this.#failure !== null) return;
    if (entry.kind === 'file') {
      this.files++;
      this.#current = { target, piece: null, pieceBytes: 0, fd: null, writtenBytes: 0, writing: 0, isComplete: false };
    } else this.#try(() => this.#makeOther(entry, target));
  }

  /** Copies the bytes. */
  data(bytes: Buffer): void {
    const file = this.#current;
    if (file === null) return;
    for (let at = 0; at < bytes.length;) {
      file.piece ??= this.#idlePieces.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
      const copied = bytes.copy(file.piece, file.pieceBytes, at);
      file.pieceBytes += copied;
      at += copied;
      if (file.pieceBytes === PIECE_BYTES) this.#flush(file);
    }
  }

  /** Resolves when there is room for more; throws what went wrong with any file so far. */
  async room(): Promise<void> {
    while (this.full) {
      this.#check();
      await this.#change();
    }
    this.#check();
  }

  get full(): boolean {
    return this.#failure !== null || this.#busyPieces >= PIECES_MAX || this.#syncs.full;
  }

  /** Resolves when everything is written. */
  async end(): Promise<void> {
    await this.settle();
    this.#check();
  }

  /** Resolves when nothing is being written any more, whatever came of it. */
  async settle(): Promise<void> {
    this.#finishCurrent();
    while (this.#busyPieces > 0 || !this.#syncs.idle) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => void this.#wake.push(resolve));
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const one of wake) one();
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

  #makeOther(entry: TarEntry, target: string): void {
    if (entry.kind === 'symlink') return symlinkSync(entry.linkTarget, target);
    mkdirSync(target, { recursive: true, mode: 0o700 });
    if (this.#owner !== null) chownSync(target, this.#owner.uid, this.#owner.gid);
  }

  #finishCurrent(): void {
    const file = this.#current;
    if (file === null) return;
    this.#current = null;
    file.isComplete = true;
    if (file.fd === null) this.#try(() => this.#writeWhole(file));
    else if (file.piece !== null) return this.#flush(file);
    if (file.writing === 0) this.#finish(file);
  }

  #writeWhole(file: OpenFile): void {
    const { piece, pieceBytes } = file;
    file.piece = null;
    const fd = this.#open(file);
    if (piece === null) return;
    this.#idlePieces.push(piece);
    checkWritten(file, writeSync(fd, piece, 0, pieceBytes, 0), pieceBytes);
  }

  /** Writes the piece aside; it is used again then. */
  #flush(file: OpenFile): void {
    const { piece, pieceBytes, writtenBytes } = file;
    if (piece === null) return;
    [file.piece, file.pieceBytes] = [null, 0];
    file.writtenBytes += pieceBytes;
    this.#try(() => file.fd ?? this.#open(file));
    if (file.fd === null) return void this.#idlePieces.push(piece);
    file.writing++;
    this.#busyPieces++;
    write(file.fd, piece, 0, pieceBytes, writtenBytes, (err, written) => {
      this.#try(() => {
        if (err !== null) throw err;
        checkWritten(file, written, pieceBytes);
      });
      this.#idlePieces.push(piece);
      this.#busyPieces--;
      file.writing--;
      if (file.isComplete && file.writing === 0) this.#finish(file);
      this.#changed();
    });
  }

  #open(file: OpenFile): number {
    const fd = openSync(file.target, 'wx', 0o600);
    file.fd = fd;
    if (this.#owner !== null) fchownSync(fd, this.#owner.uid, this.#owner.gid);
    return fd;
  }

  #finish({ fd }: OpenFile): void {
    if (fd !== null) this.#syncs.finish(fd);
  }
}

function checkWritten({ target }: OpenFile, written: number, wanted: number): void {
  if (written < wanted)
    throw new MusterError('DATABASE_UNREACHABLE', `${target}: only ${written} of ${wanted} bytes written`);
}
