import { chown, mkdir, open, symlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { serverOwner } from './owner.ts';
import type { TarEntry, TarSink } from './tar.ts';

const PIECE_BYTES = 1 << 20;
/** Pieces that may be filled or on their way to the disk. */
const PIECES_MAX = 16;
/** Small files cost a round of system calls each, so a few are written side by side. */
const FILES_AT_ONCE = 4;

interface OpenFile {
  target: string;
  /** Filled up to `pieceBytes`; `null` while there is nothing to write. */
  piece: Buffer | null;
  pieceBytes: number;
  /** Set once the file is too large to be written in one piece. */
  handle: Promise<FileHandle> | null;
  tail: Promise<void>;
}

/**
 * Writes an archive's entries below a directory, owned by the server's owner, large pieces at a time. What arrives is
 * copied into pieces that are used again and again: that costs far less than to keep it, chunk by chunk, until it is
 * written.
 */
export class TreeWriter implements TarSink {
  readonly #dir: string;
  readonly #sync: boolean;
  readonly #owner = serverOwner();
  readonly #running = new Set<Promise<void>>();
  #current: OpenFile | null = null;
  readonly #idlePieces: Buffer[] = [];
  #busyPieces = 0;
  #failure: Error | null = null;
  /** Directories are made in order; files wait for the ones before them. */
  #dirs: Promise<void> = Promise.resolve();
  files = 0;

  /** With `sync` each file is on disk when `end` resolves; the directories are not. */
  constructor(dir: string, options: { sync?: boolean } = {}) {
    this.#dir = path.resolve(dir);
    this.#sync = options.sync ?? false;
  }

  entry(entry: TarEntry): void {
    this.#finishCurrent();
    const target = path.join(this.#dir, entry.name);
    if (target !== this.#dir && !target.startsWith(this.#dir + path.sep)) {
      throw new MusterError('DATABASE_UNREACHABLE', `archive entry ${entry.name} leads outside`);
    }
    if (entry.kind === 'file') {
      this.files++;
      this.#current = { target, piece: null, pieceBytes: 0, handle: null, tail: this.#dirs };
    } else {
      this.#dirs = this.#dirs.then(() => this.#makeOther(entry, target));
      this.#track(this.#dirs);
    }
  }

  data(bytes: Buffer): void {
    const file = this.#current;
    if (file === null) return;
    if (file.piece === null && bytes.length >= PIECE_BYTES / 4) return this.#write(file, bytes, null);
    for (let at = 0; at < bytes.length;) {
      file.piece ??= this.#takePiece();
      const copied = bytes.copy(file.piece, file.pieceBytes, at);
      file.pieceBytes += copied;
      at += copied;
      if (file.pieceBytes === PIECE_BYTES) this.#flush(file);
    }
  }

  #takePiece(): Buffer {
    this.#busyPieces++;
    return this.#idlePieces.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
  }

  /** Resolves when there is room for more; throws what went wrong with any file so far. */
  async room(): Promise<void> {
    while (this.full) {
      this.#check();
      await Promise.race(this.#running);
    }
    this.#check();
  }

  get full(): boolean {
    return this.#failure !== null || this.#busyPieces > PIECES_MAX || this.#running.size > FILES_AT_ONCE * 8;
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
    this.#track(file.tail.then(() => this.#close(file)));
  }

  async #close({ handle }: OpenFile): Promise<void> {
    if (handle === null) return;
    const opened = await handle;
    try {
      if (this.#sync) await opened.datasync();
    } finally {
      await opened.close();
    }
  }

  #flush(file: OpenFile): void {
    const { piece, pieceBytes } = file;
    [file.piece, file.pieceBytes] = [null, 0];
    this.#write(file, piece?.subarray(0, pieceBytes) ?? null, piece);
  }

  /** Opens the file and writes to it, behind what was written before; `piece` may be used again then. */
  #write(file: OpenFile, bytes: Buffer | null, piece: Buffer | null): void {
    if (bytes !== null && piece === null) this.#busyPieces++;
    file.tail = file.tail.then(async () => {
      file.handle ??= this.#open(file.target);
      const handle = await file.handle;
      if (bytes === null) return;
      await writeAll(handle, bytes, file.target);
      if (piece !== null) this.#idlePieces.push(piece);
      this.#busyPieces--;
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

async function writeAll(handle: FileHandle, bytes: Buffer, target: string): Promise<void> {
  const { bytesWritten } = await handle.write(bytes, 0, bytes.length);
  if (bytesWritten < bytes.length)
    throw new MusterError('DATABASE_UNREACHABLE', `${target}: only ${bytesWritten} of ${bytes.length} bytes written`);
}
