import { MusterError } from '../../../workflows/engine/errors.ts';
import { TarReader, type TarEntry, type TarSink } from '../../drivers/postgres/tar.ts';
import { manifestPath, type BackupEntry, type Tablespace } from './backup-entry.ts';
import type { BackupSink } from './backup-parts.ts';
import { createFileDigest, type FileDigest, type ManifestAlgorithm } from './file-digest.ts';
import { ManifestCheck } from './manifest-check.ts';
import { longHeaderBytes } from './wal-page.ts';

export type FlowEvent =
  | { kind: 'entry'; entry: Omit<BackupEntry, 'body'> }
  /** Part of the file announced last. */
  | { kind: 'data'; bytes: Buffer };

/** A segment of WAL that is part of the backup. */
export interface IncludedSegment {
  name: string;
  sizeBytes: number;
  /** Its first bytes, as many as a header takes. */
  head: Buffer;
}

interface OpenFile {
  path: string;
  sizeBytes: number;
  digest: FileDigest;
  /** `null` for what is no WAL. */
  wal: IncludedSegment | null;
}

/**
 * The server sends 32 KiB at a time. Gathered into larger pieces they cost each step behind this one, and the collector
 * of garbage, a small part of that.
 */
const pieceBytes = 512 << 10;
const reportBytes = 4 << 20;
const walFile = /^pg_wal\/([0-9A-F]{24})$/;

/** Turns the archives of a base backup into entries and their bytes, each file hashed on its way. */
export class BackupFlow implements BackupSink {
  readonly #algorithm: ManifestAlgorithm;
  readonly #onProgress: () => void;
  readonly check: ManifestCheck;
  readonly segments: IncludedSegment[] = [];
  readonly #manifest: Buffer[] = [];
  /** To be emptied by the reader. */
  events: FlowEvent[] = [];
  files = 0;
  bytes = 0;
  #tar = new TarReader(this.#sink());
  #tablespace: Tablespace | null = null;
  #file: OpenFile | null = null;
  #fileLeft = 0;
  #piece: Buffer | null = null;
  #pieceFill = 0;
  #reportAt = reportBytes;

  constructor(algorithm: ManifestAlgorithm, onProgress: () => void) {
    this.#algorithm = algorithm;
    this.#onProgress = onProgress;
    this.check = new ManifestCheck(algorithm);
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
    this.#finishFile();
  }

  manifest(bytes: Buffer): void {
    this.#manifest.push(bytes);
  }

  get manifestBytes(): Buffer {
    return Buffer.concat(this.#manifest);
  }

  #sink(): TarSink {
    return { entry: (entry) => this.#entry(entry), data: (bytes) => this.#fileData(bytes) };
  }

  #entry(entry: TarEntry): void {
    this.#finishFile();
    const path = safePath(entry.name);
    const of = { tablespace: this.#tablespace, path };
    const sizeBytes = entry.kind === 'file' ? entry.size : 0;
    if (entry.kind === 'file') {
      const name = of.tablespace === null ? walFile.exec(path)?.[1] : undefined;
      const wal = name === undefined ? null : { name, sizeBytes, head: Buffer.alloc(0) };
      this.#file = { path: manifestPath(of), sizeBytes, digest: createFileDigest(this.#algorithm), wal };
      this.#fileLeft = sizeBytes;
    }
    const { kind, mode, linkTarget, mtimeSeconds } = entry;
    const announced = { ...of, kind, mode, mtimeMs: mtimeSeconds * 1000, sizeBytes, linkTarget };
    this.events.push({ kind: 'entry', entry: announced });
  }

  #fileData(bytes: Buffer): void {
    this.bytes += bytes.length;
    if (this.bytes >= this.#reportAt) {
      this.#reportAt = this.bytes + reportBytes;
      this.#onProgress();
    }
    for (let at = 0; at < bytes.length && this.#file !== null;) {
      this.#piece ??= Buffer.allocUnsafeSlow(Math.min(pieceBytes, this.#fileLeft));
      const copied = bytes.copy(this.#piece, this.#pieceFill, at);
      this.#pieceFill += copied;
      this.#fileLeft -= copied;
      at += copied;
      if (this.#pieceFill === this.#piece.length) this.#finishPiece(this.#file);
    }
  }

  #finishPiece({ digest, wal }: OpenFile): void {
    const piece = this.#piece;
    if (piece === null) return;
    [this.#piece, this.#pieceFill] = [null, 0];
    digest.update(piece);
    if (wal !== null && wal.head.length === 0) wal.head = Buffer.from(piece.subarray(0, longHeaderBytes));
    this.events.push({ kind: 'data', bytes: piece });
  }

  #finishFile(): void {
    const file = this.#file;
    if (file === null) return;
    this.#file = null;
    this.files++;
    this.check.add(file.path, { sizeBytes: file.sizeBytes, checksum: file.digest.hex() });
    if (file.wal !== null) this.segments.push(file.wal);
  }
}

/** Names come from another machine: none may lead outside. */
function safePath(name: string): string {
  const path = name.replace(/^\.\//, '').replace(/\/$/, '');
  if (path.startsWith('/') || path.split('/').some((part) => part === '..' || part === '')) {
    throw new MusterError('DATABASE_UNREACHABLE', `the backup has an entry that leads outside: ${name}`);
  }
  return path;
}
