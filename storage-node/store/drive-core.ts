import { type Env } from '../ports.ts';
import { StorageError } from '../errors.ts';
import { DriveUnavailable } from './drive-api.ts';
import { type FileSystem } from './file-system.ts';
import { type IndexStore } from './index-store.ts';
import { segmentBytes, type Segments } from './segments.ts';

/** Checksums and memory as a drive needs them (`Kernels` has both). */
export interface Hasher {
  xxh64Of(bytes: Uint8Array, seed: bigint): bigint;
}

/** Memory for blocks that are read for somebody. */
export interface BlockMemory {
  take(bytes: number): { bytes: Uint8Array; release: () => void };
}

/** What the parts of a drive share. */
export interface DriveCore {
  name: string;
  directory: string;
  env: Env;
  files: FileSystem;
  index: IndexStore;
  segments: Segments;
  hasher: Hasher;
  memory: BlockMemory;
  space: SpaceWatch;
  /** Throws when the drive has stopped. */
  check(): void;
  /**
   * Runs something that writes. A disk that fails to write or sync cannot be trusted with what it said before: the
   * drive stops for good, and acknowledges nothing any more. A full disk alone is no such failure.
   * @throws DriveUnavailable, or StorageError OutOfSpace
   */
  writing<T>(work: Promise<T>): Promise<T>;
}

export interface SpaceWatch {
  /** No room for new data. Deletes and housekeeping still go. */
  full(): boolean;
  /** Full, or so near to it that a larger write may be refused: less than one file is left above the reserve. */
  short(): boolean;
  /** Tells of bytes written since the last look. */
  wrote(bytes: number): void;
  refresh(): Promise<void>;
  totalBytes: number;
  freeBytes: number;
}

const watchEveryMs = 1_000;

/** Looks at the free space each second or so, and counts what was written since. */
export function createSpaceWatch(
  env: Env,
  files: FileSystem,
  options: { directory: string; reserveBytes: number },
): SpaceWatch {
  let takenAtMs = Number.NEGATIVE_INFINITY;
  let refreshing = false;
  const watch: SpaceWatch = {
    totalBytes: 0,
    freeBytes: Number.MAX_SAFE_INTEGER,
    wrote(bytes) {
      watch.freeBytes -= bytes;
    },
    async refresh() {
      refreshing = true;
      try {
        const space = await files.space(options.directory);
        watch.totalBytes = space.totalBytes;
        watch.freeBytes = space.freeBytes;
      } finally {
        refreshing = false;
        takenAtMs = env.clock.monotonicMs();
      }
    },
    full() {
      // A look that fails leaves the last one in force, less what was written since.
      if (!refreshing && env.clock.monotonicMs() - takenAtMs > watchEveryMs) watch.refresh().catch(() => {});
      return watch.freeBytes < options.reserveBytes;
    },
    short: () => watch.freeBytes < options.reserveBytes + segmentBytes,
  };
  return watch;
}

export interface Stopper {
  check: DriveCore['check'];
  writing: DriveCore['writing'];
  reason(): string | undefined;
  /** From now on every call fails: the drive is closed. */
  close(): void;
}

/** Stops a drive at the first failed write, and remembers why. */
export function createStopper(name: string): Stopper {
  let reason: string | undefined;
  let closed = false;
  const check = (): void => {
    if (reason !== undefined) throw new DriveUnavailable(`drive ${name} has stopped: ${reason}`);
    if (closed) throw new DriveUnavailable(`drive ${name} is closed`);
  };
  const failed = (error: unknown): never => {
    if (error instanceof DriveUnavailable || error instanceof StorageError) throw error;
    if (isDiskFull(error)) throw new StorageError('OutOfSpace', `drive ${name} is full`, { cause: error });
    reason ??= error instanceof Error ? error.message : String(error);
    throw new DriveUnavailable(`drive ${name} has stopped: ${reason}`, { cause: error });
  };
  let lastWork: Promise<unknown> | undefined;
  let lastOutcome: Promise<unknown> | undefined;
  return {
    check,
    reason: () => reason,
    close() {
      closed = true;
    },
    writing<T>(work: Promise<T>): Promise<T> {
      // Writes that share a sync share a promise.
      if (work === lastWork) return lastOutcome as Promise<T>;
      const outcome = work.then((result) => {
        // Not what ended just as it was closed: only a disk that failed takes back what it said.
        if (reason !== undefined) check();
        return result;
      }, failed);
      lastWork = work;
      lastOutcome = outcome;
      return outcome;
    },
  };
}

function isDiskFull(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOSPC' || /no space left/i.test(String(error));
}
