import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  futimesSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { openBlob } from '../repository/blob.ts';
import type { Repository } from '../repository/attach.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { forFs, shown, type RawPath } from '../source/raw-path.ts';

/** What a file gets once its content is there. */
export interface Finish {
  /** As `chmod` takes it. */
  permissions: number;
  uid: number;
  gid: number;
  /** Seconds since 1970. The system calls of Node take no more than a double: exact to about a quarter of a microsecond. */
  atimeSeconds: number;
  mtimeSeconds: number;
}

/** A place where the plaintext of a blob goes. */
export interface BlobTarget {
  /** Of `PackJob.blobs`. */
  blob: number;
  /** Which file it is, in the numbers of whoever asks. */
  file: number;
  path: RawPath;
  at: number;
  /** The blob is the whole file: it is made here and finished here. Otherwise the file is there already. */
  whole: Finish | null;
}

/** A stretch of a pack, and what to make of its blobs. */
export interface PackJob {
  pack: string;
  blobs: { id: Uint8Array; offset: number; length: number; uncompressedLength: number }[];
  /** In the order of `blobs`. */
  targets: BlobTarget[];
  sparse: boolean;
}

export interface RestoreFailure {
  file: number;
  why: string;
}
export interface PackOutcome {
  bytes: number;
  /** Of targets, each with what is wrong. */
  failures: RestoreFailure[];
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
export const isRoot = process.getuid?.() === 0;

/** Reads the stretch once and writes each blob to all its places. A blob whose hash is wrong is written nowhere. */
export async function restorePack(repository: Repository, job: PackJob): Promise<PackOutcome> {
  const outcome: PackOutcome = { bytes: 0, failures: [] };
  const first = Math.min(...job.blobs.map(({ offset }) => offset));
  const end = Math.max(...job.blobs.map(({ offset, length }) => offset + length));
  const bytes = await repository.store.read('data', job.pack, { offset: first, length: end - first });
  // Targets come in the order of their blobs, so one plaintext at a time is kept.
  let [at, blob] = [-1, null as ReturnType<typeof openBlob> | null];
  for (const target of job.targets) {
    if (blob === null || target.blob !== at) {
      at = target.blob;
      blob = openAt(repository, bytes, job.blobs[at]!, first);
    }
    if (blob.kind === 'damaged') {
      outcome.failures.push({ file: target.file, why: `data/${job.pack.slice(0, 2)}/${job.pack}: ${blob.why}` });
      continue;
    }
    try {
      writeTarget(target, blob.plaintext, job.sparse);
      outcome.bytes += blob.plaintext.length;
    } catch (err) {
      if (isFull(err)) throw new MusterError('TARGET_FULL', `no space left for ${shown(target.path)}`, { cause: err });
      outcome.failures.push({ file: target.file, why: err instanceof Error ? err.message : String(err) });
    }
  }
  return outcome;
}

function openAt(
  repository: Repository,
  bytes: Uint8Array | null,
  { id, offset, length, uncompressedLength }: PackJob['blobs'][number],
  first: number,
): ReturnType<typeof openBlob> {
  if (bytes === null) return { kind: 'damaged', why: 'the pack is missing' };
  const sealed = bytes.subarray(offset - first, offset - first + length);
  if (sealed.length < length) return { kind: 'damaged', why: 'the pack is truncated' };
  return openBlob(repository, sealed, { id, uncompressedLength });
}

/** Whether the file system or a quota has no room: then no file has. */
export function isFull(err: unknown): boolean {
  return err instanceof Error && 'code' in err && (err.code === 'ENOSPC' || err.code === 'EDQUOT');
}

function writeTarget({ path, at, whole }: BlobTarget, plaintext: Uint8Array, sparse: boolean): void {
  const fd = whole === null ? openSync(forFs(path), O_WRONLY | O_NOFOLLOW) : createFile(path);
  try {
    if (!sparse || !isZero(plaintext)) writeAll(fd, plaintext, at);
    else if (whole !== null) ftruncateSync(fd, plaintext.length);
    if (whole !== null) finishFile(fd, whole);
  } finally {
    closeSync(fd);
  }
}

/** A new file in place of whatever had its name, except a directory with something in it. */
export function createFile(path: RawPath): number {
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  try {
    return openSync(forFs(path), flags, 0o600);
  } catch (err) {
    if (!(err instanceof Error && 'code' in err && err.code === 'EEXIST')) throw err;
    rmSync(forFs(path));
    return openSync(forFs(path), flags, 0o600);
  }
}

/** Owner before mode: giving a file away takes its setuid bit. Only root can give files away. */
export function finishFile(fd: number, finish: Finish): void {
  if (isRoot) fchownSync(fd, finish.uid, finish.gid);
  fchmodSync(fd, finish.permissions);
  futimesSync(fd, finish.atimeSeconds, finish.mtimeSeconds);
}

function writeAll(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}

const zeros = Buffer.alloc(65_536);

function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const part = bytes.subarray(at, at + zeros.length);
    if (Buffer.compare(part, part.length === zeros.length ? zeros : zeros.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}
