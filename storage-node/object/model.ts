/** What the registers of a bucket's keys hold, and what the front door asks the object layer for. */
import { type Ballot } from '../consensus/ballot.ts';
import { type DataId } from '../store/drive-api.ts';

export type ChecksumAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256';
export interface Checksum {
  algorithm: ChecksumAlgorithm;
  /** Base64, as on the wire; with `-N` for a composite one. */
  value: string;
  type: 'FULL_OBJECT' | 'COMPOSITE';
}

/** Headers a client stores with an object and gets back, by their lower-case HTTP names. */
export type StoredHeader =
  'cache-control' | 'content-disposition' | 'content-encoding' | 'content-language' | 'content-type' | 'expires';
export interface ObjectMetadata {
  headers: Partial<Record<StoredHeader, string>>;
  /** `x-amz-meta-*` / `x-oss-meta-*` without the prefix, lower case. */
  user: Record<string, string>;
}

/** Names and values, in the order in which they were given; no name twice. */
export type Tags = readonly (readonly [name: string, value: string])[];

/** A stretch of an object's bytes: the whole object, or one part of a multipart upload. */
export interface Part {
  number: number;
  sizeBytes: number;
  /** Hex MD5. */
  md5: string;
  checksum: Checksum | undefined;
  dataId: DataId;
  /** Its shards travel inside the register's accept (see `maxSmallShardBytes`). */
  small: boolean;
}

/** One version of a key. The newest of a key comes first in its state. */
export interface Version {
  /** `null` for a version written while versioning was off or suspended. */
  versionId: string;
  deleteMarker: boolean;
  sizeBytes: number;
  /** Without quotes. */
  etag: string;
  lastModifiedMs: number;
  metadata: ObjectMetadata;
  checksum: Checksum | undefined;
  /** Empty for a delete marker and for an empty object. */
  parts: Part[];
  /** True when made by a multipart upload: only then do part numbers mean something to clients. */
  multipart: boolean;
  storageClass: string;
  /** Room for what features keep with a version (tags, the upload that made it, ...), by feature name. */
  extra: Record<string, unknown>;
}

export interface KeyState {
  versions: Version[];
}

export type Versioning = 'Off' | 'Enabled' | 'Suspended';
export interface Bucket {
  name: string;
  /** 8 bytes, hex. A bucket made again under the same name has another. */
  id: string;
  createdAtMs: number;
  versioning: Versioning;
  generation: number;
  owner: string;
  region: string;
  /** Configuration documents of later features by sub-resource name (policy, lifecycle, ...). */
  documents: Record<string, string>;
}

/** Conditions of a request. ETags without quotes; `*` for any. Times in Unix milliseconds. */
export interface Conditions {
  ifMatch?: readonly string[];
  ifNoneMatch?: readonly string[];
  ifModifiedSinceMs?: number;
  ifUnmodifiedSinceMs?: number;
  /** Conditional delete: the version's size and last-modified time. */
  ifSizeBytes?: number;
  ifLastModifiedMs?: number;
}

export interface PutInput {
  bucket: string;
  key: string;
  metadata: ObjectMetadata;
  /** Absent for none. */
  tags?: Tags;
  storageClass?: string;
  /** Bytes of the body where known beforehand. */
  expectedBytes: number | undefined;
}
export interface CommitInput {
  conditions: Conditions;
  checksum: Checksum | undefined;
}
export interface PutResult {
  etag: string;
  /** Undefined in a bucket that never had versioning. */
  versionId: string | undefined;
  sizeBytes: number;
  lastModifiedMs: number;
}

/**
 * Takes an object's (or a part's) bytes at the client's pace. Nothing is locked and nothing is visible before `commit`.
 * The caller must end with `commit` or `abort`.
 */
export interface Upload<Result> {
  /** Takes a copy-free reference: the caller must not change `chunk` afterwards. False: wait for `onDrain`. */
  write(chunk: Uint8Array): boolean;
  /** Set by the caller; called when writing may go on. */
  onDrain: (() => void) | undefined;
  /** All bytes were given. Resolves when they are durable on a write quorum, with what they came to. */
  end(): Promise<{ md5: Uint8Array; sizeBytes: number }>;
  /** Makes it visible: the conditions are judged now, against the value of this moment. */
  commit(input: CommitInput): Promise<Result>;
  abort(): void;
}

export interface ReadOptions {
  versionId?: string;
  conditions?: Conditions;
}
export interface ObjectInfo extends Omit<Version, 'parts'> {
  key: string;
  /** What a client is shown: undefined in a bucket that never had versioning. */
  shownVersionId: string | undefined;
  parts: readonly Pick<Part, 'number' | 'sizeBytes' | 'checksum'>[];
  isLatest: boolean;
}
/** Where read bytes go: `release` when the chunk's memory may be used again; false: wait for `drained()`. */
export interface ByteTarget {
  write(chunk: Uint8Array, release: () => void): boolean;
  drained(): Promise<void>;
  /** True once nobody reads any more; reading stops. */
  readonly closed: boolean;
}
/** An object opened for reading: a fixed version, whatever happens to the key meanwhile. Must be closed. */
export interface OpenObject {
  info: ObjectInfo;
  /** Sends bytes [first, last] (inclusive) of the object. May be called once. Throws before or between chunks, never sends unverified bytes. */
  send(first: number, last: number, target: ByteTarget): Promise<void>;
  close(): void;
}

export interface DeleteInput {
  bucket: string;
  key: string;
  versionId?: string;
  conditions?: Conditions;
}
export interface DeleteResult {
  /** The version that was removed, or the delete marker that was made. */
  versionId: string | undefined;
  deleteMarker: boolean;
}

export interface TagsInput {
  bucket: string;
  key: string;
  versionId?: string;
  /** All the version shall have. */
  tags: Tags;
  conditions?: Conditions;
}

export interface ListInput {
  prefix: string;
  delimiter: string;
  /** Exclusive: keys (and common prefixes) greater than this. */
  after: string;
  maxKeys: number;
}
/** What a listing shows of an object. */
export interface ListedObject extends Pick<
  ObjectInfo,
  'key' | 'lastModifiedMs' | 'etag' | 'sizeBytes' | 'storageClass'
> {
  checksum: Pick<Checksum, 'algorithm' | 'type'> | undefined;
}
export interface ListPage {
  objects: ListedObject[];
  commonPrefixes: string[];
  truncated: boolean;
  /** Give as `after` for the next page. */
  next: string | undefined;
}
export interface VersionListInput extends Omit<ListInput, 'after'> {
  keyMarker: string;
  versionIdMarker: string;
}
export interface VersionListPage {
  versions: ObjectInfo[];
  commonPrefixes: string[];
  truncated: boolean;
  nextKeyMarker: string | undefined;
  nextVersionIdMarker: string | undefined;
}

export interface UploadInfo {
  key: string;
  uploadId: string;
  initiatedAtMs: number;
  metadata: ObjectMetadata;
  /** Absent for none. */
  tags?: Tags;
  storageClass: string;
  checksumAlgorithm: ChecksumAlgorithm | undefined;
  checksumType: Checksum['type'] | undefined;
}
export interface UploadListPage {
  uploads: UploadInfo[];
  commonPrefixes: string[];
  truncated: boolean;
  nextKeyMarker: string | undefined;
  nextUploadIdMarker: string | undefined;
}
export interface PartInfo {
  number: number;
  sizeBytes: number;
  etag: string;
  lastModifiedMs: number;
  checksum: Checksum | undefined;
}
export interface PartListPage {
  upload: UploadInfo;
  parts: PartInfo[];
  truncated: boolean;
  nextPartNumber: number | undefined;
}
export interface CompleteInput {
  bucket: string;
  key: string;
  uploadId: string;
  /** In the client's order; checked. */
  parts: readonly { number: number; etag: string; checksum?: string }[];
  conditions: Conditions;
  /** The checksum of the whole object a client claims. */
  checksum: Checksum | undefined;
}
export interface CompleteResult extends PutResult {
  checksum: Checksum | undefined;
}

export interface Change {
  position: Ballot;
  /** `tags`: those of the newest version became others; `version-tags`: those of an older one. */
  kind: 'put' | 'delete' | 'delete-marker' | 'delete-version' | 'tags' | 'version-tags';
  key: string;
  versionId: string;
  sizeBytes: number;
  etag: string;
  atMs: number;
}
export interface ChangePage {
  changes: Change[];
  /** Everything up to and including this position is in this page or was in one before. Give as `after` next time. */
  position: Ballot;
  /** More is there already. */
  more: boolean;
}
