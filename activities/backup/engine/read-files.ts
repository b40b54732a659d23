import { hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { forFs, type RawPath } from '../source/raw-path.ts';
import type { Cutter } from './cutter.ts';

/** A file, or a stretch of a very large one. */
export interface FileJob {
  path: RawPath;
  offset: number;
  /** Bytes to read; `null`: to the end of the file. */
  length: number | null;
}

/** What became of it. `ids`: 32 bytes for each piece, in order. */
export type FileOutcome =
  | { kind: 'saved'; ids: Uint8Array; sizeBytes: number; changed: boolean }
  | { kind: 'failed'; code: string; why: string };

/**
 * Where pieces go: `save` copies what it keeps, `room` is awaited where it is given. `read` is told of bytes as they come,
 * and of as many below 0 when their file fails after all; it throws when nobody wants them any more.
 */
export interface BlobSink {
  save(id: Uint8Array, bytes: Uint8Array): void;
  room(): Promise<void> | null;
  read(bytes: number): void;
}

/**
 * Reads a file into the cutter's memory, cuts it and hands each piece to `save`. Says whether the file changed while it
 * was read: its size or times are others afterwards. An error of the file is an outcome; one of `save` is thrown.
 */
export async function readFile(job: FileJob, cutter: Cutter, sink: BlobSink): Promise<FileOutcome> {
  let fd: number;
  try {
    fd = openSync(forFs(job.path), 'r');
  } catch (err) {
    return failed(err);
  }
  try {
    return await readOpen(fd, job, cutter, sink);
  } finally {
    closeSync(fd);
  }
}

async function readOpen(fd: number, job: FileJob, cutter: Cutter, sink: BlobSink): Promise<FileOutcome> {
  const before = fstatSync(fd, { bigint: true });
  const ids: Uint8Array[] = [];
  let sizeBytes = 0;
  const keep = (piece: Uint8Array): void => {
    const id = hash('sha256', piece, 'buffer');
    sink.save(id, piece);
    ids.push(id);
  };
  cutter.begin();
  for (;;) {
    const left = job.length === null ? cutter.free.length : Math.min(cutter.free.length, job.length - sizeBytes);
    const count = left === 0 ? 0 : tryRead(fd, cutter.free.subarray(0, left), job.offset + sizeBytes);
    if (typeof count !== 'number') {
      sink.read(-sizeBytes);
      return count;
    }
    sizeBytes += count;
    sink.read(count);
    cutter.take(count, keep);
    const room = sink.room();
    if (room !== null) await room;
    // A short read is the end of a file, as is a read of nothing; the second asks the system once more than needed.
    if (count < left || left === 0) break;
  }
  cutter.end(keep);
  const after = fstatSync(fd, { bigint: true });
  const changed = before.size !== after.size || before.mtimeNs !== after.mtimeNs || before.ctimeNs !== after.ctimeNs;
  return { kind: 'saved', ids: Buffer.concat(ids), sizeBytes, changed };
}

/** Reads until the room is full or the file ends. */
function tryRead(fd: number, room: Uint8Array, position: number): number | FileOutcome {
  let done = 0;
  try {
    while (done < room.length) {
      const count = readSync(fd, room, done, room.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  } catch (err) {
    return failed(err);
  }
}

function failed(err: unknown): FileOutcome {
  const code = err instanceof Error && 'code' in err ? String(err.code) : 'EIO';
  return { kind: 'failed', code, why: err instanceof Error ? err.message : String(err) };
}
