import { createHash, type Hash } from 'node:crypto';
import type { GrowingStored } from './store.ts';

/** The bytes of a pack while it is gathered: whole in memory, or appended to a file that grows, a little at a time. */
export interface PackContent {
  /** Of the pack so far. */
  readonly sizeBytes: number;
  /** Where so many bytes may be written to; `take` says how many were. */
  room(bytes: number): { buffer: Uint8Array; at: number };
  take(bytes: number): void;
  /** Takes the last bytes and begins the next pack. `bytes` are the caller's, until they are recycled. */
  end(bytes: number): EndedContent;
  recycle(bytes: Uint8Array): void;
  /** Gives up what was gathered. */
  discard(): void;
}

export interface EndedContent {
  /** SHA-256 of all of it. */
  readonly id: Uint8Array;
  readonly sizeBytes: number;
  /** All of it, or what is still to be appended to `file`. */
  readonly bytes: Uint8Array;
  readonly file: GrowingStored | null;
}

/** So much is gathered before it is appended to a file. */
const appendBytes = 2 * 2 ** 20;
/** A pack is full once it has reached its size, so a piece may reach over it: most of them by less than this. */
const overBytes = 4 * 2 ** 20;

/** @param grow opens the file of a pack; undefined: packs stay in memory */
export function createPackContent(targetBytes: number, grow: (() => GrowingStored) | undefined): PackContent {
  // The system gives memory only to what is written of it; growing would leave a copy behind at each step.
  let buffer: Uint8Array = Buffer.allocUnsafeSlow((grow === undefined ? targetBytes : appendBytes) + overBytes);
  let spare: Uint8Array | null = null;
  let file: GrowingStored | null = null;
  let [used, appended] = [0, 0];
  // The hash takes each blob while it is still in the processor's cache.
  let hash: Hash = createHash('sha256');

  function count(bytes: number): void {
    hash.update(buffer.subarray(used, used + bytes));
    used += bytes;
  }

  function begin(): void {
    [used, appended, file] = [0, 0, null];
    hash = createHash('sha256');
  }

  return {
    get sizeBytes() {
      return appended + used;
    },
    room(bytes) {
      if (used + bytes > buffer.length) {
        const larger = Buffer.allocUnsafeSlow(used + bytes + overBytes);
        larger.set(buffer.subarray(0, used));
        buffer = larger;
      }
      return { buffer, at: used };
    },
    take(bytes) {
      count(bytes);
      if (grow === undefined || used < appendBytes) return;
      file ??= grow();
      file.append(buffer.subarray(0, used));
      appended += used;
      used = 0;
    },
    end(bytes) {
      count(bytes);
      const ended = { id: hash.digest(), sizeBytes: appended + used, bytes: buffer.subarray(0, used), file };
      buffer = spare ?? Buffer.allocUnsafeSlow(buffer.length);
      spare = null;
      begin();
      return ended;
    },
    recycle(bytes) {
      spare = new Uint8Array(bytes.buffer);
    },
    discard() {
      file?.discard();
      begin();
    },
  };
}
