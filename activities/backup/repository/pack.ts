import { createHash, type Hash } from 'node:crypto';
import { hexOf, type BlobTools, type PackEntry } from './blob.ts';
import type { BlobType } from './blob-table.ts';
import { headerOf } from './pack-header.ts';
import { sealingOverhead } from './sealing.ts';

/** Packs are finished when they have grown to this, as restic's are. */
export const packTargetBytes = 16 * 2 ** 20;

/** A pack, ready to be written under `name`. */
export interface FinishedPack {
  readonly type: BlobType;
  readonly id: Uint8Array;
  /** The id in hexadecimal: the file name. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly entries: readonly PackEntry[];
}

/** Gathers blobs of one type into a pack: sealed blobs, sealed header, length of the header. Belongs to one thread. */
export interface PackBuilder {
  /** Bytes gathered so far. */
  readonly sizeBytes: number;
  readonly blobCount: number;
  /** Whether the pack has reached its size and should be finished. */
  readonly full: boolean;
  /** Compresses (where that makes it smaller), seals and appends a blob whose id is the SHA-256 of `plaintext`. */
  add(id: Uint8Array, plaintext: Uint8Array): PackEntry;
  /** Appends a blob that is sealed already with the key of this repository, as it lay in another pack. */
  addSealed(blob: PackEntry, sealed: Uint8Array): PackEntry;
  /** Ends the pack and begins the next. `bytes` are the caller's, until it may give them back by `recycle`. */
  finish(): FinishedPack;
  /** Takes back the bytes of a finished pack that is written, for the next one to be gathered in. */
  recycle(bytes: Uint8Array): void;
}

export interface PackBuilderOptions {
  readonly targetBytes?: number;
  /** False stores blobs as they are. */
  readonly compress?: boolean;
}

/** A pack is full once it has reached its size, so a piece may reach over it: most of them by less than this. */
const overBytes = 4 * 2 ** 20;

export function createPackBuilder(tools: BlobTools, type: BlobType, options: PackBuilderOptions = {}): PackBuilder {
  const { targetBytes = packTargetBytes, compress = true } = options;
  // The system gives memory only to what is written of it; growing would leave a copy behind at each step.
  let buffer: Uint8Array = Buffer.allocUnsafeSlow(targetBytes + overBytes);
  let spare: Uint8Array | null = null;
  let used = 0;
  let entries: PackEntry[] = [];
  // The hash takes each blob while it is still in the processor's cache.
  let hash: Hash = createHash('sha256');

  function makeRoom(bytes: number): void {
    if (used + bytes <= buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(used + bytes + overBytes);
    larger.set(buffer.subarray(0, used));
    buffer = larger;
  }

  function append(id: Uint8Array, length: number, uncompressedLength: number): PackEntry {
    const entry: PackEntry = { type, id: Uint8Array.from(id), offset: used, length, uncompressedLength };
    hash.update(buffer.subarray(used, used + length));
    used += length;
    entries.push(entry);
    return entry;
  }

  function add(id: Uint8Array, plaintext: Uint8Array): PackEntry {
    const compressed = compress ? tools.zstd.compress(plaintext) : null;
    const content = compressed ?? plaintext;
    makeRoom(content.length + sealingOverhead);
    const length = tools.sealer.sealInto(buffer, used, content);
    return append(id, length, compressed === null ? 0 : plaintext.length);
  }

  function addSealed(blob: PackEntry, sealed: Uint8Array): PackEntry {
    makeRoom(sealed.length);
    buffer.set(sealed, used);
    return append(blob.id, sealed.length, blob.uncompressedLength);
  }

  function finish(): FinishedPack {
    const header = headerOf(entries);
    makeRoom(header.length + sealingOverhead + 4);
    const begin = used;
    const sealedLength = tools.sealer.sealInto(buffer, used, header);
    new DataView(buffer.buffer, buffer.byteOffset).setUint32(used + sealedLength, sealedLength, true);
    used += sealedLength + 4;
    hash.update(buffer.subarray(begin, used));
    const id = hash.digest();
    const pack: FinishedPack = { type, id, name: hexOf(id), bytes: buffer.subarray(0, used), entries };
    buffer = spare ?? Buffer.allocUnsafeSlow(buffer.length);
    spare = null;
    used = 0;
    entries = [];
    hash = createHash('sha256');
    return pack;
  }

  return {
    get sizeBytes() {
      return used;
    },
    get blobCount() {
      return entries.length;
    },
    get full() {
      return used >= targetBytes;
    },
    add,
    addSealed,
    finish,
    recycle(bytes) {
      spare = new Uint8Array(bytes.buffer);
    },
  };
}
