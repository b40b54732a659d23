import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { placeOf } from './conninfo.ts';
import { giveToOwner } from './owner.ts';
import { readAnswer, sendCommand, type BackendPiece } from './replication.ts';
import { connectReplication } from './sql.ts';
import { TarReader } from './tar.ts';
import { TreeWriter } from './tree-writer.ts';

export interface CloneOptions {
  /** `postgres://` address of the server to copy, of a role that may replicate. */
  url: string;
  /** Directory to fill: empty or not there. */
  dataDir: string;
  /** `standby` marks the copy so that it starts as a standby; `primary` leaves it to open as a primary on its own. */
  as: 'standby' | 'primary';
  connectMs?: number;
  /** Give up when no byte arrives for this long; default 60 s (a checkpoint comes first). */
  stallMs?: number;
  /** Limit of the source's sending rate, kB/s. */
  maxKilobytesPerSecond?: number;
  signal?: AbortSignal;
  onProgress?(progress: { bytes: number; totalBytes: number | null }): void;
}

export interface CloneResult {
  bytes: number;
  files: number;
  seconds: number;
  startLsn: string;
  /** The copy is consistent from here on. */
  endLsn: string;
  timeline: number;
}

/**
 * Copies a running server over the replication protocol (BASE_BACKUP with the WAL it needs), streamed straight to disk.
 * Files are not synced one by one: a server that starts on such a copy syncs all of it before it recovers.
 * On any failure what was written is removed again; the error names host and port.
 */
export async function cloneServer(options: CloneOptions): Promise<CloneResult> {
  const startedAt = performance.now();
  await makeEmpty(options.dataDir);
  try {
    const copied = await copy(options);
    if (options.as === 'standby') {
      const signalFile = path.join(options.dataDir, 'standby.signal');
      await writeFile(signalFile, '', { mode: 0o600 });
      await giveToOwner(signalFile);
    }
    return { ...copied, seconds: (performance.now() - startedAt) / 1000 };
  } catch (err) {
    await rm(options.dataDir, { recursive: true, force: true });
    const { code, message } = toMusterError(err, 'DATABASE_UNREACHABLE');
    throw new MusterError(code, `clone of ${placeOf(options.url)}: ${options.signal?.aborted ? 'stopped' : message}`);
  }
}

async function makeEmpty(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  if ((await readdir(dataDir)).length > 0) throw new MusterError('CONFIG_INVALID', `${dataDir} is not empty`);
  await giveToOwner(dataDir);
}

function command(options: CloneOptions): string {
  const rate = options.maxKilobytesPerSecond;
  const parts = ["LABEL 'muster'", 'PROGRESS', "CHECKPOINT 'fast'", 'WAL', "WAIT 'false'", "MANIFEST 'no'"];
  if (rate !== undefined) parts.push(`MAX_RATE ${Math.min(1_048_576, Math.max(32, Math.round(rate)))}`);
  return `BASE_BACKUP (${parts.join(', ')})`;
}

async function copy(options: CloneOptions): Promise<Omit<CloneResult, 'seconds'>> {
  const socket = await connectReplication(options.url, options.connectMs ?? 3_000);
  const abort = (): void => void socket.destroy(new Error('stopped'));
  options.signal?.addEventListener('abort', abort, { once: true });
  if (options.signal?.aborted) abort();
  const tree = new TreeWriter(options.dataDir);
  try {
    sendCommand(socket, command(options));
    const answer = await readBackup(readAnswer(socket, options.stallMs ?? 60_000), tree, options);
    await tree.end();
    return { ...answer, files: tree.files };
  } catch (err) {
    await tree.settle();
    throw err;
  } finally {
    options.signal?.removeEventListener('abort', abort);
    socket.destroy();
  }
}

type Answer = Omit<CloneResult, 'seconds' | 'files'>;

/**
 * Result sets before the data: start position and tablespaces; after it: end position. In between each COPY message
 * starts with a letter: `n` a new archive, `d` its data, `p` progress (PostgreSQL 15 and later).
 */
async function readBackup(
  pieces: AsyncIterable<BackendPiece>,
  tree: TreeWriter,
  options: CloneOptions,
): Promise<Answer> {
  const tar = new TarReader(tree);
  const rows: (string | null)[][] = [];
  let [bytes, archives, letter] = [0, 0, ''];
  for await (const piece of pieces) {
    if (piece.kind === 'row') rows.push(piece.columns);
    if (piece.kind !== 'copy') continue;
    if (piece.first) letter = String.fromCharCode(piece.bytes[0] ?? 0);
    if (piece.first && letter === 'n' && ++archives > 1) throw tablespaces();
    if (piece.first && letter === 'p') options.onProgress?.({ bytes, totalBytes: totalOf(rows) });
    if (letter !== 'd') continue;
    const data = piece.first ? piece.bytes.subarray(1) : piece.bytes;
    bytes += data.length;
    tar.feed(data);
    if (tree.full) await tree.room();
  }
  tar.end();
  const [start, end] = [rows[0], rows.at(-1)];
  if (rows.length < 3 || !start?.[0] || !end?.[0])
    throw new MusterError('DATABASE_UNREACHABLE', 'the backup has no end position');
  return { bytes, startLsn: start[0], endLsn: end[0], timeline: Number(end[1]) };
}

function totalOf(rows: (string | null)[][]): number | null {
  const kilobytes = rows.slice(1).map((columns) => Number(columns[2] ?? Number.NaN));
  const total = kilobytes.reduce((sum, size) => sum + size, 0);
  return kilobytes.length === 0 || Number.isNaN(total) ? null : total * 1024;
}

function tablespaces(): MusterError {
  return new MusterError('CONFIG_INVALID', 'servers with tablespaces outside the data directory cannot be cloned');
}
