import { toMusterError } from '../../../workflows/engine/errors.ts';
import type { BlobTools, PackEntry } from '../repository/blob.ts';
import { noSlot, type BlobTable, type BlobType } from '../repository/blob-table.ts';
import { createPackBuilder, type FinishedPack, type PackBuilder } from '../repository/pack.ts';
import type { RepositoryStore } from '../repository/store.ts';

/** A pack that is durable, for the index. */
export interface StoredPack {
  name: string;
  entries: readonly PackEntry[];
  sizeBytes: number;
}

export interface PackerOptions {
  store: RepositoryStore;
  tools: BlobTools;
  table: BlobTable;
  compress: boolean;
  /** Packs are written as they grow, where the store can; a write then holds this thread up. Default false. */
  growing?: boolean;
  onStored: (pack: StoredPack) => void;
}

/** Packs written at a time by one thread; each holds its bytes in memory until it is durable. */
const packsInFlight = 2;

/** Blobs of a new pack whose slots of the table wait for it. */
interface OpenPack {
  builder: PackBuilder;
  slots: number[];
}

/**
 * Writes blobs that the repository does not have yet, once each among all threads: whoever claims an id first writes it.
 * Adding is synchronous; packs are written behind it. A failed write is thrown by the next `room` or `flush`.
 */
export class Packer {
  readonly #options: PackerOptions;
  readonly #open: Partial<Record<BlobType, OpenPack>> = {};
  readonly #writing = new Set<Promise<void>>();
  #failure: Error | null = null;
  /** Blobs that were new, and their bytes before and after compression. */
  readonly added = { blobs: 0, bytes: 0, storedBytes: 0 };

  constructor(options: PackerOptions) {
    this.#options = options;
  }

  /** @returns whether the blob was new */
  add(type: BlobType, id: Uint8Array, plaintext: Uint8Array): boolean {
    const slot = this.#options.table.claim(type, id);
    if (slot === noSlot) return false;
    const open = (this.#open[type] ??= this.#begin(type));
    const entry = open.builder.add(id, plaintext);
    open.slots.push(slot);
    this.added.blobs += 1;
    this.added.bytes += plaintext.length;
    this.added.storedBytes += entry.length;
    if (open.builder.full) this.#finish(open);
    return true;
  }

  /** Takes a blob over from another pack, sealed as it is. The table goes on naming the old place. */
  move(entry: PackEntry, sealed: Uint8Array): void {
    const open = (this.#open[entry.type] ??= this.#begin(entry.type));
    open.builder.addSealed(entry, sealed);
    open.slots.push(noSlot);
    this.added.blobs += 1;
    this.added.storedBytes += sealed.length;
    if (open.builder.full) this.#finish(open);
  }

  /** What to wait for until another pack may be begun; null when it may. */
  room(): Promise<void> | null {
    this.#throwFailure();
    return this.#writing.size < packsInFlight ? null : this.#untilRoom();
  }

  async #untilRoom(): Promise<void> {
    while (this.#writing.size >= packsInFlight) await Promise.race(this.#writing);
    this.#throwFailure();
  }

  /** Ends the packs that are begun and waits until all are durable. */
  async flush(): Promise<void> {
    for (const open of Object.values(this.#open)) if (open.builder.blobCount > 0) this.#finish(open);
    await Promise.all(this.#writing);
    this.#throwFailure();
  }

  /** Waits for the packs that are being written, however that ends, and gives up those that are begun. */
  async settle(): Promise<void> {
    for (const open of Object.values(this.#open)) open.builder.discard();
    await Promise.all(this.#writing);
  }

  #begin(type: BlobType): OpenPack {
    const { tools, compress, store, growing = false } = this.#options;
    return { builder: createPackBuilder(tools, type, { compress, grow: growing ? store.grow : undefined }), slots: [] };
  }

  #finish(open: OpenPack): void {
    const pack = open.builder.finish();
    const slots = open.slots;
    open.slots = [];
    const writing = this.#write(pack, slots).then(
      () => open.builder.recycle(pack.bytes),
      (err: unknown) => void (this.#failure ??= toMusterError(err)),
    );
    const settled = writing.then(() => void this.#writing.delete(settled));
    this.#writing.add(settled);
  }

  async #write(pack: FinishedPack, slots: readonly number[]): Promise<void> {
    const { store, table, onStored } = this.#options;
    if (pack.file === null) await store.write('data', pack.name, [pack.bytes]);
    else {
      pack.file.append(pack.bytes);
      await pack.file.finish(pack.name);
    }
    const number = table.addPack(pack.id);
    for (const [i, { offset, length, uncompressedLength }] of pack.entries.entries()) {
      if (slots[i] !== noSlot) table.store(slots[i]!, { pack: number, offset, length, uncompressedLength });
    }
    onStored({ name: pack.name, entries: pack.entries, sizeBytes: pack.sizeBytes });
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}
