import { type Env } from '../ports.ts';
import { StorageError } from '../errors.ts';
import { DriveUnavailable } from './drive-api.ts';
import { type FileSystem } from './file-system.ts';
import { type IndexStore } from './index-store.ts';
import { type Segments } from './segments.ts';

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
   * drive stops for good, and acknowledges nothing any more.
   */
  writing<T>(work: Promise<T>): Promise<T>;
}

export interface SpaceWatch {
  /** No room for new data. Deletes and housekeeping still go. */
  full(): boolean;
  totalBytes: number;
  freeBytes: number;
}

const watchEveryMs = 1_000;

/** Looks at the free space each second or so, and counts what was written since. */
export function createSpaceWatch(
  env: Env,
  files: FileSystem,
  options: { directory: string; reserveBytes: number },
): SpaceWatch & { wrote: (bytes: number) => void; refresh: () => Promise<void> } {
  let takenAtMs = Number.NEGATIVE_INFINITY;
  let refreshing = false;
  const watch = {
    totalBytes: 0,
    freeBytes: Number.MAX_SAFE_INTEGER,
    wrote(bytes: number) {
      watch.freeBytes -= bytes;
    },
    async refresh() {
      const space = await files.space(options.directory);
      watch.totalBytes = space.totalBytes;
      watch.freeBytes = space.freeBytes;
      takenAtMs = env.clock.monotonicMs();
    },
    full() {
      if (!refreshing && env.clock.monotonicMs() - takenAtMs > watchEveryMs) {
        refreshing = true;
        watch
          .refresh()
          .catch(() => {})
          .finally(() => {
            refreshing = false;
          });
      }
      return watch.freeBytes < options.reserveBytes;
    },
  };
  return watch;
}

/** Stops a drive at the first failed write, and remembers why. */
export function createStopper(
  name: string,
): Pick<DriveCore, 'check' | 'writing'> & { reason: () => string | undefined } {
  let reason: string | undefined;
  const check = (): void => {
    if (reason !== undefined) throw new DriveUnavailable(`drive ${name} has stopped: ${reason}`);
  };
  return {
    check,
    reason: () => reason,
    async writing(work) {
      try {
        const result = await work;
        check();
        return result;
      } catch (error) {
        if (error instanceof DriveUnavailable || error instanceof StorageError) throw error;
        if ((error as NodeJS.ErrnoException).code === 'ENOSPC' || /no space left/i.test(String(error))) {
          throw new StorageError('OutOfSpace', `drive ${name} is full`, { cause: error });
        }
        reason ??= error instanceof Error ? error.message : String(error);
        throw new DriveUnavailable(`drive ${name} has stopped: ${reason}`, { cause: error });
      }
    },
  };
}
