import { toMusterError } from '../../../workflows/engine/errors.ts';
import { createHasher } from '../../objects/checksum/hasher.ts';
import { type ByteRange, type ChecksumKind, type Checksums, type KnownChecksums } from '../../objects/types.ts';
import { fullKey } from '../side.ts';
import { callOf } from './landing.ts';
import { type CopySetup, type CopyTask } from './ports.ts';
import { BodyFailure, fromSource } from './side-errors.ts';

/** Sees every byte in order, e.g. a digest over several parts. */
export interface Watcher {
  update(bytes: Uint8Array): void;
}

export interface HashedRead {
  /** Begins anew at each call: a write that is repeated reads again. */
  open(): AsyncGenerator<Uint8Array>;
  /** Of what was read last. */
  own(): Checksums;
}

/**
 * Reads an object, or a range of it, and hashes what goes by. The last chunk is held back until `approve` has seen the
 * checksums of all: what throws there leaves the write incomplete, so that the target never has the object.
 */
export function readHashed(
  setup: CopySetup,
  task: CopyTask,
  options: {
    kinds: readonly ChecksumKind[];
    range?: ByteRange;
    approve?: (own: Checksums) => void;
    /** Made anew for each reading. */
    watch?: () => Watcher;
  },
): HashedRead {
  let hasher = createHasher(options.kinds);
  return {
    own: () => hasher.digest(),
    async *open() {
      const reading = createHasher(options.kinds);
      hasher = reading;
      const watcher = options.watch?.();
      try {
        let held: Buffer | undefined;
        for await (const chunk of chunks(setup, task, options.range)) {
          if (held !== undefined) yield held;
          reading.update(chunk);
          watcher?.update(chunk);
          held = chunk;
          const waited = setup.throttle?.(chunk.length);
          if (waited !== undefined) await waited;
        }
        options.approve?.(reading.digest());
        if (held !== undefined) yield held;
      } catch (err) {
        throw new BodyFailure(toMusterError(err));
      }
    },
  };
}

async function* chunks(setup: CopySetup, task: CopyTask, range: ByteRange | undefined): AsyncGenerator<Buffer> {
  const { source } = setup;
  const which = task.versionId === undefined ? { ifMatch: task.etag } : { versionId: task.versionId };
  const body = await fromSource(
    source.client.get(fullKey(source, task.key), range === undefined ? which : { ...which, range }, callOf(setup)),
  );
  let ended = false;
  try {
    for await (const chunk of body) if (chunk.length > 0) yield chunk;
    ended = true;
  } finally {
    if (!ended) body.cancel();
  }
}

/** The same outside of a write: failures are the source's own. */
export async function* unwrapped(read: HashedRead): AsyncGenerator<Uint8Array> {
  try {
    yield* read.open();
  } catch (err) {
    throw err instanceof BodyFailure ? err.cause : err;
  }
}

/**
 * How a stretch is sent. S3 wants the checksum before the bytes, so they are held in memory, and the store itself refuses
 * what does not match; OSS answers its own checksum afterwards, so they go through as they come.
 */
export async function bodyFor(
  setup: CopySetup,
  read: HashedRead,
): Promise<{ open: () => AsyncIterable<Uint8Array>; checksums: KnownChecksums }> {
  const { dialect, supports } = setup.target.client;
  if (dialect === 'oss') return { open: read.open, checksums: read.own };
  const chunks: Uint8Array[] = [];
  for await (const chunk of unwrapped(read)) chunks.push(chunk);
  return { open: () => replay(chunks), checksums: { [supports.wholeChecksum]: read.own()[supports.wholeChecksum]! } };
}

async function* replay(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
