import { hexOf, type BlobTools, type PackEntry } from './blob.ts';
import type { BlobType } from './blob-table.ts';
import { createPackContent } from './pack-content.ts';
import { headerOf } from './pack-header.ts';
import { sealingOverhead } from './sealing.ts';
import type { GrowingStored } from './store.ts';

/** Packs are finished when they have grown to this, as restic's are. */
export const packTargetBytes = 16 * 2 ** 20;

/** A pack, ready to be written under `name`. */
export interface FinishedPack {
  readonly type: BlobType;
  readonly id: Uint8Array;
  /** The id in hexadecimal: the file name. */
  readonly name: string;
  readonly sizeBytes: number;
  /** All of it, or what is still to be appended to `file`. */
  readonly bytes: Uint8Array;
  readonly file: GrowingStored | null;
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
  /** Gives up what was gathered. */
  discard(): void;
}

export interface PackBuilderOptions {
  readonly targetBytes?: number;
  /** False stores blobs as they are. */
  readonly compress?: boolean;
  /** Where a pack is written to as it grows; without it, it is gathered whole. */
  readonly grow?: (() => GrowingStored) | undefined;
}

export function createPackBuilder(tools: BlobTools, type: BlobType, options: PackBuilderOptions = {}): PackBuilder {
  const { targetBytes = packTargetBytes, compress = true, grow } = options;
  const content = createPackContent(targetBytes, grow);
  let entries: PackEntry[] = [];

  function append(id: Uint8Array, length: number, uncompressedLength: number): PackEntry {
    const entry: PackEntry = { type, id: Uint8Array.from(id), offset: content.sizeBytes, length, uncompressedLength };
    content.take(length);
    entries.push(entry);
    return entry;
  }

  function add(id: Uint8Array, plaintext: Uint8Array): PackEntry {
    const compressed = compress ? tools.zstd.compress(plaintext) : null;
    const sealed = compressed ?? plaintext;
    const room = content.room(sealed.length + sealingOverhead);
    const length = tools.sealer.sealInto(room.buffer, room.at, sealed);
    return append(id, length, compressed === null ? 0 : plaintext.length);
  }

  function addSealed(blob: PackEntry, sealed: Uint8Array): PackEntry {
    const { buffer, at } = content.room(sealed.length);
    buffer.set(sealed, at);
    return append(blob.id, sealed.length, blob.uncompressedLength);
  }

  function finish(): FinishedPack {
    const header = headerOf(entries);
    const { buffer, at } = content.room(header.length + sealingOverhead + 4);
    const sealedLength = tools.sealer.sealInto(buffer, at, header);
    new DataView(buffer.buffer, buffer.byteOffset).setUint32(at + sealedLength, sealedLength, true);
    const ended = content.end(sealedLength + 4);
    const pack: FinishedPack = { type, name: hexOf(ended.id), entries, ...ended };
    entries = [];
    return pack;
  }

  return {
    get sizeBytes() {
      return content.sizeBytes;
    },
    get blobCount() {
      return entries.length;
    },
    get full() {
      return content.sizeBytes >= targetBytes;
    },
    add,
    addSealed,
    finish,
    recycle: content.recycle,
    discard() {
      content.discard();
      entries = [];
    },
  };
}
