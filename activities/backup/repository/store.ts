import { MusterError } from '../../../workflows/engine/errors.ts';
import type { LockMode } from '../../objects/bucket-types.ts';
import type { ObjectPlace } from '../../objects/place.ts';

/**
 * Where a repository lies: restic's folders of immutable files, and Muster's own objects beside them.
 * Everything above this port sees names and bytes only.
 */

/** The kinds of files of a repository. `config` is one file; the others are named by the SHA-256 of their stored bytes. */
export type FileKind = 'config' | 'key' | 'data' | 'index' | 'snapshot' | 'lock';

/** The name under which the one file of kind `config` is listed, read and written. */
export const configName = 'config';

export interface StoredFile {
  /** 64 hexadecimal digits, or `config`. */
  readonly name: string;
  readonly sizeBytes: number;
  /** When the store took it, Unix milliseconds by the store's clock; files never change. */
  readonly writtenMs: number;
}

/** Bytes `offset` up to `offset + length`, exclusive. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A file of the store that has no name yet. */
export interface GrowingStored {
  /** Blocks while the bytes are taken: for threads that nobody waits on. @throws MusterError TARGET_FULL */
  append(bytes: Uint8Array): void;
  /** As `write`: when it returns, the file is durable and whole. */
  finish(name: string): Promise<void>;
  /** Leaves nothing of it, unless it is finished. */
  discard(): void;
}

export interface RepositoryStore {
  /** The address for people: in messages and reports. Never carries a secret. */
  readonly place: string;
  /** Files of one kind, in no order; names that are not those of repository files are passed over. */
  list(kind: FileKind): AsyncIterable<StoredFile>;
  /**
   * A whole file or a range of it; the caller owns the bytes. A range that reaches past the end gives what there is;
   * null when there is no such file (`readStored` is the one that throws).
   */
  read(kind: FileKind, name: string, range?: ByteRange): Promise<Uint8Array | null>;
  /**
   * Writes the pieces, in order, as one file. When it returns, the file is durable and whole; after a crash at any
   * moment before, it is whole or not there. Writing the same bytes under the same name again is fine.
   * @throws MusterError TARGET_FULL
   */
  write(kind: FileKind, name: string, pieces: readonly Uint8Array[]): Promise<void>;
  /** A file of kind `data` that is written as it grows; where the store cannot do that, it is not there. */
  readonly grow?: () => GrowingStored;
  /** Removes a file; that it is gone already is fine. */
  remove(kind: FileKind, name: string): Promise<void>;
  /** The size of a file in bytes; null when there is no such file. */
  sizeOf(kind: FileKind, name: string): Promise<number | null>;
  /** What Muster keeps beside restic's files. */
  readonly side: SideStore;
  /**
   * Removes what writers left behind that were killed, if nobody touched it for `olderThanMs`.
   * @returns how many files were removed
   */
  removeLeftovers(olderThanMs: number): Promise<number>;
  /** Where the store locks single files against removal; null where it does not. */
  objectLocks(): Promise<ObjectLocks | null>;
  close(): Promise<void>;
}

/** Until when a file cannot be removed: under `GOVERNANCE` by nobody without a special right, under `COMPLIANCE` by nobody. */
export interface FileRetention {
  readonly mode: LockMode;
  /** Unix milliseconds. */
  readonly untilMs: number;
}

/** S3 Object Lock on the files of a repository. What is removed in the ordinary way is only hidden behind a marker. */
export interface ObjectLocks {
  /** null for a file without; `missing` for one that is not there, or is hidden. */
  retentionOf(kind: FileKind, name: string): Promise<FileRetention | null | 'missing'>;
  /** @throws MusterError OBJECT_LOCKED where it would end earlier than it does, OBJECT_UNKNOWN */
  retain(kind: FileKind, name: string, retention: FileRetention): Promise<void>;
  /** Removes the file itself where nothing holds it. `untilMs` is null where no end is known. */
  removeForGood(kind: FileKind, name: string): Promise<RemovedForGood>;
}

export type RemovedForGood = { readonly kind: 'removed' } | { readonly kind: 'held'; readonly untilMs: number | null };

/**
 * Small objects of Muster's own, in the folder `muster/` of the repository, which restic passes over.
 * Names are relative to that folder: segments of `a-z A-Z 0-9 . _ -` joined by `/`.
 */
export interface SideStore {
  /** Writes an object, atomically and durably; with `onlyNew` an object that is there already wins: `exists`. */
  put(name: string, bytes: Uint8Array, options?: { readonly onlyNew?: boolean }): Promise<'written' | 'exists'>;
  /** null when there is no such object. */
  get(name: string): Promise<Uint8Array | null>;
  /** Names that begin with `prefix`, in no order. */
  list(prefix: string): AsyncIterable<string>;
  remove(name: string): Promise<void>;
}

/** How to open a store, as plain data: worker threads are sent this and open it themselves. */
export type StoreAddress =
  | { readonly kind: 'directory'; readonly path: string }
  | {
      readonly kind: 'objects';
      readonly place: ObjectPlace;
      /** What new files get, locks of clients apart; the bucket must have been made with object lock. */
      readonly retention?: NewRetention;
    };

/** From the moment that a file is written. */
export interface NewRetention {
  readonly mode: LockMode;
  readonly forMs: number;
}

const folders: Record<Exclude<FileKind, 'config'>, string> = {
  key: 'keys',
  data: 'data',
  index: 'index',
  snapshot: 'snapshots',
  lock: 'locks',
};

/** The path of a file inside the repository, as restic lays it out: also the name of the file in messages. */
export function pathOf(kind: FileKind, name: string): string {
  if (kind === 'config') return 'config';
  if (kind === 'data') return `data/${name.slice(0, 2)}/${name}`;
  return `${folders[kind]}/${name}`;
}

/** The folder of a kind inside the repository; empty for `config`. */
export function folderOf(kind: FileKind): string {
  return kind === 'config' ? '' : folders[kind];
}

/** Whether a name is one that restic gives: the hexadecimal SHA-256 of the file. */
export function isFileName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/**
 * A file that has to be there, whole or exactly the range asked for.
 * @throws MusterError REPOSITORY_DAMAGED naming the file when it is missing or ends before the range does
 */
export async function readStored(
  store: RepositoryStore,
  kind: FileKind,
  name: string,
  range?: ByteRange,
): Promise<Uint8Array> {
  const bytes = await store.read(kind, name, range);
  if (bytes === null) throw damaged(store, kind, name, 'is missing');
  if (range !== undefined && bytes.length < range.length) {
    throw damaged(store, kind, name, `ends before byte ${range.offset + range.length}`);
  }
  return bytes;
}

/** The error for a file that is not what it should be; `what` continues the sentence after its path. */
export function damaged(store: { readonly place: string }, kind: FileKind, name: string, what: string): MusterError {
  return new MusterError('REPOSITORY_DAMAGED', `${pathOf(kind, name)} ${what} (repository ${store.place})`);
}

/** Gives a side object's name back; what is none, and could leave the folder, is a bug of the caller. */
export function checkSideName(name: string): string {
  const good = /^[\w.-]+(\/[\w.-]+)*$/.test(name) && !name.split('/').some((part) => part === '.' || part === '..');
  if (!good) throw new MusterError('INTERNAL', `"${name}" cannot be the name of a side object`);
  return name;
}
