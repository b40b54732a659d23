import { manifestPath, type BackupEntry } from './backup-entry.ts';
import { createFileDigest, type FileDigest, type ManifestAlgorithm } from './file-digest.ts';
import { ManifestCheck } from './manifest-check.ts';
import { longHeaderBytes } from './wal-page.ts';

/** A segment of WAL that is part of the backup. */
export interface IncludedSegment {
  name: string;
  sizeBytes: number;
  /** Its first bytes, as many as a header takes. */
  head: Buffer;
}

const walFile = /^pg_wal\/([0-9A-F]{24})$/;

/** Looks at the files of a backup one behind the other while their bytes go by, on the way in as on the way out. */
export class FileInspector {
  readonly #algorithm: ManifestAlgorithm;
  readonly check: ManifestCheck;
  readonly segments: IncludedSegment[] = [];
  #file: { path: string; digest: FileDigest; wal: IncludedSegment | null; bytes: number } | null = null;
  files = 0;
  bytes = 0;

  constructor(algorithm: ManifestAlgorithm) {
    this.#algorithm = algorithm;
    this.check = new ManifestCheck(algorithm);
  }

  begin(entry: Pick<BackupEntry, 'tablespace' | 'path'>): void {
    this.end();
    const name = entry.tablespace === null ? walFile.exec(entry.path)?.[1] : undefined;
    const wal = name === undefined ? null : { name, sizeBytes: 0, head: Buffer.alloc(0) };
    this.#file = { path: manifestPath(entry), digest: createFileDigest(this.#algorithm), wal, bytes: 0 };
  }

  update(bytes: Buffer): void {
    const file = this.#file;
    if (file === null) return;
    file.digest.update(bytes);
    file.bytes += bytes.length;
    this.bytes += bytes.length;
    if (file.wal === null || file.wal.head.length >= longHeaderBytes) return;
    file.wal.head = Buffer.concat([file.wal.head, bytes.subarray(0, longHeaderBytes)]);
  }

  /** The file begun last is over. */
  end(): void {
    const file = this.#file;
    if (file === null) return;
    this.#file = null;
    this.files++;
    this.check.add(file.path, { sizeBytes: file.bytes, checksum: file.digest.hex() });
    if (file.wal !== null) this.segments.push({ ...file.wal, sizeBytes: file.bytes });
  }
}
