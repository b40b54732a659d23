import { MusterError } from '../../../workflows/engine/errors.ts';
import type { BackendPiece } from '../../drivers/postgres/replication.ts';
import type { Tablespace } from './backup-entry.ts';

/** What a server says before it sends the first byte. */
export interface BackupStart {
  startLsn: string;
  timeline: number;
  tablespaces: Tablespace[];
  /** The server's estimate; `null` when it made none. */
  totalBytes: number | null;
}

export interface BackupEnd {
  endLsn: string;
  timeline: number;
}

/** Takes the parts of a base backup as they come. Bytes are good until a call returns. */
export interface BackupSink {
  /** A tar archive begins: of a tablespace, or (`null`) of the data directory. */
  archive(tablespace: Tablespace | null): void;
  data(bytes: Buffer): void;
  /** The archive that began last is over. */
  archiveEnd(): void;
  manifest(bytes: Buffer): void;
}

/**
 * Takes the answer to BASE_BACKUP apart. Before version 15 each archive is a COPY of its own, in the order of the table
 * of tablespaces, and the manifest one more behind them; since then all are in one COPY whose messages begin with a
 * letter: `n` a new archive, `m` the manifest, `d` data, `p` progress (not needed: who reads can count).
 */
export class BackupParts {
  readonly #sink: BackupSink;
  readonly #typed: boolean;
  readonly #rows: (string | null)[][] = [];
  readonly notices: string[] = [];
  start: BackupStart | null = null;
  #order: (Tablespace | null)[] = [];
  #copies = 0;
  #at: 'nothing' | 'archive' | 'manifest' = 'nothing';
  #letter = '';
  #message: Buffer[] = [];

  constructor(major: number, sink: BackupSink) {
    this.#typed = major >= 15;
    this.#sink = sink;
  }

  take(piece: BackendPiece): void {
    if (piece.kind === 'row') this.#rows.push(piece.columns);
    else if (piece.kind === 'notice') this.notices.push(piece.text);
    else if (piece.kind === 'copy-begin') this.#begin();
    else if (piece.kind === 'copy-done') this.#leave();
    else if (piece.kind === 'copy' && this.#typed) this.#takeTyped(piece);
    else if (piece.kind === 'copy') this.#takeData(piece.bytes);
  }

  /** To be asked for when the answer is complete. Throws DATABASE_UNREACHABLE when something of it is missing. */
  end(): BackupEnd {
    const last = this.#rows.at(-1);
    if (this.start === null || this.#rows.length < 3 || !last?.[0] || this.#at !== 'nothing') {
      throw new MusterError('DATABASE_UNREACHABLE', 'the backup has no end position');
    }
    return { endLsn: last[0], timeline: Number(last[1]) };
  }

  #begin(): void {
    if (this.start === null) this.start = startOf(this.#rows);
    this.#order = [...this.start.tablespaces, null];
    if (this.#typed) return;
    // Where the server lists the data directory, its archive comes; it is the last one in every version.
    if (this.#copies < this.#order.length) this.#enter(this.#order[this.#copies] ?? null);
    else this.#at = 'manifest';
    this.#copies++;
  }

  #enter(tablespace: Tablespace | null): void {
    this.#leave();
    this.#at = 'archive';
    this.#sink.archive(tablespace);
  }

  #leave(): void {
    if (this.#at === 'archive') this.#sink.archiveEnd();
    this.#at = 'nothing';
  }

  #takeData(bytes: Buffer): void {
    if (this.#at === 'archive') this.#sink.data(bytes);
    else if (this.#at === 'manifest') this.#sink.manifest(bytes);
  }

  #takeTyped({ bytes, first, last }: { bytes: Buffer; first: boolean; last: boolean }): void {
    if (first) this.#letter = String.fromCharCode(bytes[0] ?? 0);
    const rest = first ? bytes.subarray(1) : bytes;
    if (this.#letter === 'd') return this.#takeData(rest);
    this.#message.push(Buffer.from(rest));
    if (!last) return;
    const message = Buffer.concat(this.#message);
    this.#message = [];
    if (this.#letter === 'n') this.#enter(this.#tablespaceOf(message));
    else if (this.#letter === 'm') {
      this.#leave();
      this.#at = 'manifest';
    } else if (this.#letter !== 'p')
      throw new MusterError('DATABASE_UNREACHABLE', `the backup has a message of unknown kind ${this.#letter}`);
  }

  /** Names of an archive and, for a tablespace, where it lies; the archive's name begins with its number. */
  #tablespaceOf(message: Buffer): Tablespace | null {
    const [name = ''] = message.toString('utf8').split('\0');
    const oid = /^(\d+)\.tar$/.exec(name)?.[1];
    if (oid === undefined) return null;
    const found = this.start?.tablespaces.find((one) => one.oid === Number(oid));
    if (found === undefined)
      throw new MusterError('DATABASE_UNREACHABLE', `the backup has an unannounced part ${name}`);
    return found;
  }
}

/** Rows: start position; then a tablespace each with number, place and kilobytes, the data directory without the first two. */
function startOf(rows: (string | null)[][]): BackupStart {
  const [position, ...trees] = rows;
  if (!position?.[0] || trees.length === 0) {
    throw new MusterError('DATABASE_UNREACHABLE', 'the backup has no start position');
  }
  const kilobytes = trees.map((columns) => Number(columns[2] ?? Number.NaN));
  const total = kilobytes.reduce((sum, size) => sum + size, 0);
  return {
    startLsn: position[0],
    timeline: Number(position[1]),
    tablespaces: trees.flatMap(([oid = null, location]) =>
      oid === null ? [] : [{ oid: Number(oid), location: location ?? '' }],
    ),
    totalBytes: Number.isNaN(total) ? null : total * 1024,
  };
}
