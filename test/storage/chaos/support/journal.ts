import { createHash } from 'node:crypto';

/** What a key shows: the sum of its bytes, or that nothing is there. */
export type Shown = string | undefined;

/** One thing that was asked of a key. A key has one writer, which waits for each answer. */
export interface Deed {
  kind: 'put' | 'delete' | 'delete-version';
  /** Of the bytes that were put. */
  sum: Shown;
  /** The version that was made or, of `delete-version`, removed. A put that was not answered has none. */
  versionId: string | undefined;
  acknowledged: boolean;
}

/** An upload that nobody asked to complete yet. */
export interface OpenUpload {
  bucket: string;
  key: string;
  uploadId: string;
  parts: { ETag: string; PartNumber: number }[];
  /** Of all bytes of the acknowledged parts. */
  sum: string;
}

/** What was acknowledged, and what was under way, at one moment. */
export interface Knowledge {
  /** By bucket, then key. */
  deeds: Map<string, Map<string, Deed[]>>;
  uploads: OpenUpload[];
}

/** Keeps what was asked and what was answered; `known` is a copy that what comes later does not change. */
export class Journal {
  #deeds = new Map<string, Map<string, Deed[]>>();
  #uploads = new Map<string, OpenUpload>();
  acknowledged = 0;
  #waiting: { count: number; resolve: () => void }[] = [];

  /** Notes that something is asked; the answer, when it comes, is given to what this returns. */
  ask(at: { bucket: string; key: string }, deed: Omit<Deed, 'acknowledged'>): (versionId?: string) => void {
    const ofBucket = this.#deeds.get(at.bucket) ?? new Map<string, Deed[]>();
    this.#deeds.set(at.bucket, ofBucket);
    const ofKey = ofBucket.get(at.key) ?? [];
    ofBucket.set(at.key, ofKey);
    const noted: Deed = { ...deed, acknowledged: false };
    ofKey.push(noted);
    return (versionId) => {
      noted.acknowledged = true;
      noted.versionId ??= versionId;
      this.acknowledged += 1;
      for (const { count, resolve } of this.#waiting) if (this.acknowledged >= count) resolve();
    };
  }

  /** Resolves when so much was acknowledged. */
  reached(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ count, resolve });
    });
  }

  /** Notes what is acknowledged of an upload; `close` it before asking for its completion. */
  upload(upload: OpenUpload): void {
    this.#uploads.set(upload.uploadId, upload);
  }

  close(uploadId: string): void {
    this.#uploads.delete(uploadId);
  }

  known(): Knowledge {
    const deeds = [...this.#deeds].map(([bucket, keys]) => {
      const copies = [...keys].map(([key, ofKey]) => [key, ofKey.map((deed) => ({ ...deed }))] as const);
      return [bucket, new Map(copies)] as const;
    });
    return { deeds: new Map(deeds), uploads: [...this.#uploads.values()] };
  }
}

/** What a key of a bucket without versions may show: what was acknowledged last, or what was asked after it. */
export function mayShow(deeds: readonly Deed[]): Set<Shown> {
  const may = new Set<Shown>();
  for (const deed of [undefined, ...deeds]) {
    if (deed?.acknowledged === true) may.clear();
    if (deed === undefined || deed.acknowledged || deed.kind === 'delete' || deed.kind === 'put') may.add(deed?.sum);
  }
  return may;
}

export function sumOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
