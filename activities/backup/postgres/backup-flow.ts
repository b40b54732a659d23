import { MusterError } from '../../../workflows/engine/errors.ts';
import { TarReader, type TarEntry, type TarSink } from '../../drivers/postgres/tar.ts';
import type { BackupEntry, Tablespace } from './backup-entry.ts';
import type { BackupSink } from './backup-parts.ts';
import type { ManifestAlgorithm } from './file-digest.ts';
import { FileInspector } from './file-inspector.ts';

export type FlowEvent =
  | { kind: 'entry'; entry: Omit<BackupEntry, 'body'> }
  /** Part of the file announced last. */
  | { kind: 'data'; bytes: Buffer };

/** Takes a base backup at once, as it comes. */
export interface FlowTarget {
  entry(entry: Omit<BackupEntry, 'body'>): void;
  /** The bytes are good until more of the answer is asked for. */
  data(bytes: Buffer): void;
}

/**
 * The server sends 32 KiB at a time. Gathered into larger pieces they cost each step behind this one a small part of
 * that. Large pieces are used again: to make and to remove them anew costs as much as to fill them.
 */
const pieceBytes = 512 << 10;
const reportBytes = 4 << 20;

/** Turns the archives of a base backup into entries and their bytes, each file hashed on its way. */
export class BackupFlow implements BackupSink {
  readonly inspector: FileInspector;
  readonly #onProgress: () => void;
  readonly #manifest: Buffer[] = [];
  /** To be emptied by the reader; nothing comes here while there is a target. */
  events: FlowEvent[] = [];
  target: FlowTarget | null = null;
  readonly #idlePieces: Buffer[] = [];
  #tar = new TarReader(this.#sink());
  #tablespace: Tablespace | null = null;
  #fileLeft = 0;
  #piece: Buffer | null = null;
  #pieceFill = 0;
  #reportAt = reportBytes;

  constructor(algorithm: ManifestAlgorithm, onProgress: () => void) {
    this.#onProgress = onProgress;
    this.inspector = new FileInspector(algorithm);
  }

  archive(tablespace: Tablespace | null): void {
    this.#tablespace = tablespace;
    this.#tar = new TarReader(this.#sink());
  }

  data(bytes: Buffer): void {
    this.#tar.feed(bytes);
  }

  archiveEnd(): void {
    this.#tar.end();
    this.inspector.end();
  }

  manifest(bytes: Buffer): void {
    // What it came in is read into anew.
    this.#manifest.push(Buffer.from(bytes));
  }

  get manifestBytes(): Buffer {
    return Buffer.concat(this.#manifest);
  }

  #sink(): TarSink {
    return { entry: (entry) => this.#entry(entry), data: (bytes) => this.#fileData(bytes) };
  }

  #entry({ name, kind, mode, linkTarget, mtimeSeconds, size }: TarEntry): void {
    const of = { tablespace: this.#tablespace, path: safePath(name) };
    this.#fileLeft = kind === 'file' ? size : 0;
    if (kind === 'file') this.inspector.begin(of);
    const entry = { ...of, kind, mode, mtimeMs: mtimeSeconds * 1000, sizeBytes: this.#fileLeft, linkTarget };
    if (this.target !== null) this.target.entry(entry);
    else this.events.push({ kind: 'entry', entry });
  }

  /** The bytes of an event are not needed any more. */
  release(piece: Buffer): void {
    if (piece.length === pieceBytes) this.#idlePieces.push(piece);
  }

  #fileData(bytes: Buffer): void {
    // A target that comes in the middle of a piece gets the rest of the file in it, too.
    if (this.target !== null && this.#piece === null) {
      this.#fileLeft -= bytes.length;
      this.#finishPiece(bytes);
      return;
    }
    for (let at = 0; at < bytes.length;) {
      this.#piece ??= this.#nextPiece();
      const copied = bytes.copy(this.#piece, this.#pieceFill, at);
      this.#pieceFill += copied;
      this.#fileLeft -= copied;
      at += copied;
      if (this.#pieceFill === this.#piece.length) this.#finishPiece(this.#piece);
    }
  }

  #nextPiece(): Buffer {
    const idle = this.#fileLeft < pieceBytes ? undefined : this.#idlePieces.pop();
    return idle ?? Buffer.allocUnsafeSlow(Math.min(pieceBytes, this.#fileLeft));
  }

  #finishPiece(piece: Buffer): void {
    [this.#piece, this.#pieceFill] = [null, 0];
    this.inspector.update(piece);
    if (this.target !== null) this.target.data(piece);
    else this.events.push({ kind: 'data', bytes: piece });
    if (this.inspector.bytes < this.#reportAt) return;
    this.#reportAt = this.inspector.bytes + reportBytes;
    this.#onProgress();
  }
}

/** Names come from another machine: none may lead outside. */
export function safePath(name: string): string {
  const path = name.replace(/^\.\//, '').replace(/\/$/, '');
  if (path.startsWith('/') || path.split('/').some((part) => part === '..' || part === '')) {
    throw new MusterError('DATABASE_UNREACHABLE', `the backup has an entry that leads outside: ${name}`);
  }
  return path;
}
