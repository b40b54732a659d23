/**
 * The port of an object store: the calls on the data of one bucket, in the words of no dialect. Two implementations
 * stand behind it, S3 and Alibaba Cloud OSS; `openObjects(place)` in `open.ts` chooses. All keys are whole keys as
 * stored: a place's prefix is its owner's business, no call adds it.
 *
 * Failures are `ObjectStoreError`s (see `failure.ts`), which are MusterErrors: BUCKET_UNKNOWN, OBJECT_UNKNOWN,
 * OBJECT_STORE_UNREACHABLE, OBJECT_STORE_REFUSED, CREDENTIALS_REFUSED, OBJECT_CHANGED, OBJECT_ARCHIVED, OBJECT_LOCKED,
 * CHECKSUM_MISMATCH, TARGET_FULL. What may be repeated safely was repeated before one is thrown. An aborted `signal`
 * rejects with its own reason, not with one of these.
 */
import { type BucketInfo, type BucketLock, type LockMode, type Versioning } from './bucket-types.ts';
import { type ObjectPlace } from './place.ts';
import { type Supports } from './supports.ts';

/** CRCs, MD5 and SHAs a store or a hasher may know. */
export type ChecksumKind = 'crc64nvme' | 'crc64ecma' | 'crc32' | 'crc32c' | 'md5' | 'sha1' | 'sha256';

/**
 * What is known of an object's (or a part's) bytes, all of them: lower-case hex, CRCs with their most significant byte
 * first. `crc64nvme` is what S3 keeps, `crc64ecma` (CRC-64/XZ) what OSS keeps. `md5` is there only where the store's
 * ETag or header really is one. Empty when nothing is known. Plain data: may be stored as JSON.
 */
export type Checksums = Partial<Record<ChecksumKind, string>>;

/** A checksum of checksums, as S3 makes it for a multipart object: says nothing without the sizes of the parts. */
export interface CompositeChecksum {
  kind: ChecksumKind;
  /** Hex, without the number of parts. */
  value: string;
  parts: number;
}

/** Content headers that are stored with an object and come back with it. */
export interface ContentHeaders {
  contentType?: string;
  contentEncoding?: string;
  contentDisposition?: string;
  contentLanguage?: string;
  cacheControl?: string;
  /** As it stands in the header; stores keep any text. */
  expires?: string;
}

/** Limits of one call. */
export interface CallOptions {
  /** Ends the call, a body under way included. */
  signal?: AbortSignal;
  /**
   * For everything the call does, tries and pauses included, milliseconds; a body's own time is not in it (that is
   * guarded by `stallMs` of the client alone). Default: the client's `deadlineMs`.
   */
  deadlineMs?: number;
}

/** First and last byte, both inclusive; without `last` to the end. */
export interface ByteRange {
  first: number;
  last?: number;
}

export interface ReadOptions {
  versionId?: string;
  /** ETag without quotes. OBJECT_CHANGED when the object has another by now. */
  ifMatch?: string;
}
export interface GetOptions extends ReadOptions {
  /** OBJECT_STORE_REFUSED (serverCode InvalidRange) when it begins behind the end, as in every empty object. */
  range?: ByteRange;
}

/** What a store says of one object or version. Times in Unix milliseconds. */
export interface ObjectInfo {
  key: string;
  /** Of the whole object, also where only a range was asked for. */
  sizeBytes: number;
  /** Without quotes, as the store writes it (OSS in capitals). */
  etag: string;
  /** To the second, for HTTP's dates have no more. */
  lastModifiedMs: number;
  /** Undefined in a bucket that never had versioning. */
  versionId?: string;
  /** As the store names it; `STANDARD` (S3) or `Standard` (OSS) where it says nothing. */
  storageClass: string;
  content: ContentHeaders;
  /**
   * User metadata without the dialect's prefix, names in lower case, values as text: beyond ASCII it travels as an
   * encoded word (RFC 2047), as S3 itself answers it.
   */
  metadata: Record<string, string>;
  /** Of the whole object; empty when a range was read and the store keeps back what it knows. */
  checksums: Checksums;
  composite?: CompositeChecksum;
  /** How many parts a multipart object has, where the store or its ETag says so. */
  parts?: number;
  /** How many tags there are, where the store says so (S3 on GET, OSS on both). */
  tagCount?: number;
  /** Its bytes must be restored first: a GET would be OBJECT_ARCHIVED. */
  archived: boolean;
  /** A restore is under way (`ongoing`) or done until then. */
  restore?: { ongoing: boolean; untilMs?: number };
  retention?: Retention;
  legalHold?: boolean;
}

/**
 * A body under way. It must be read to its end or given up with `cancel`, else its connection stays taken.
 * Read once. Each chunk is the buffer the socket filled, without a copy; it belongs to the reader. Fewer bytes than
 * announced, a lost connection or `stallMs` without a byte reject with OBJECT_STORE_UNREACHABLE: what came before is
 * good and may be gone on from with a range and `ifMatch`.
 */
export interface ObjectBody extends AsyncIterable<Buffer> {
  info: ObjectInfo;
  /** How many bytes this body brings: the size, or the range's. */
  lengthBytes: number;
  /** Ends it early. Its connection is closed, not used again. */
  cancel(): void;
}

export interface ObjectBytes {
  info: ObjectInfo;
  bytes: Buffer;
}

/**
 * A body of known length. `open` is called once per try: give a source that can be begun again, or set `once`, then a
 * failure after the first byte was asked for is not repeated by the client. What was opened is closed (`return`), however
 * the call ends; a call may end without having opened anything.
 */
export interface StreamBody {
  sizeBytes: number;
  open: () => AsyncIterable<Uint8Array>;
  once?: boolean;
}
export type PutBody = Uint8Array | StreamBody;

/** Conditions of a write. OBJECT_CHANGED where they do not hold. */
export interface WriteConditions {
  /** Only a key that is not there is written: S3 `If-None-Match: *`, OSS `x-oss-forbid-overwrite`. */
  ifAbsent?: boolean;
  /** Only over the object with this ETag. S3 alone: see `supports.putIfMatch`. */
  ifMatch?: string;
}

/**
 * What the writer knows of the bytes. As a value it is known beforehand: one is sent along, so that the store itself
 * refuses damaged bytes and keeps the checksum. As a function it is asked once the body was sent (a stream hashed on
 * its way). Either is compared with what the store answers: CHECKSUM_MISMATCH where they differ.
 */
export type KnownChecksums = Checksums | (() => Checksums);

export interface PutOptions extends WriteConditions {
  content?: ContentHeaders;
  metadata?: Record<string, string>;
  tags?: Record<string, string>;
  /** In the dialect's words. */
  storageClass?: string;
  /**
   * Where none are given and the body is bytes, the client computes what its dialect keeps (S3: crc64nvme; OSS: md5).
   */
  checksums?: KnownChecksums;
  retention?: Retention;
  legalHold?: boolean;
}

/** What a store says of what it took. */
export interface PutResult {
  etag: string;
  versionId?: string;
  /** What the store answered, never what was sent. Empty when it says nothing. */
  checksums: Checksums;
  /** True: the answer was lost and the object was found to be this one afterwards. */
  readBack: boolean;
}

export interface UploadOptions {
  content?: ContentHeaders;
  metadata?: Record<string, string>;
  tags?: Record<string, string>;
  storageClass?: string;
  /** S3: the checksum the whole object shall have (FULL_OBJECT). Default crc64nvme; `false` for none. OSS has its own. */
  checksum?: 'crc64nvme' | 'crc32' | 'crc32c' | false;
  retention?: Retention;
  legalHold?: boolean;
}

export interface UploadRef {
  key: string;
  uploadId: string;
}
export interface PartOptions {
  checksums?: KnownChecksums;
}
export interface UploadedPart {
  partNumber: number;
  etag: string;
  sizeBytes: number;
  /** What the store answered. */
  checksums: Checksums;
}
export interface CompleteOptions extends WriteConditions {
  /** Of the whole object, e.g. by `combineChecksums`: sent where the dialect can check it, compared with the answer. */
  checksums?: Checksums;
}

export interface ListRequest {
  prefix?: string;
  /** Keys behind this one, whether it exists or not. */
  startAfter?: string;
  /** Of the page before; then `startAfter` is ignored. Opaque; some stores refuse it after a while. */
  continuation?: string;
  delimiter?: string;
  /** At most 1,000, which is the default. */
  maxKeys?: number;
}
export interface ListedObject {
  key: string;
  sizeBytes: number;
  etag: string;
  /** To the millisecond where the store says so. */
  lastModifiedMs: number;
  storageClass: string;
}
/** In the order of the keys' UTF-8 bytes, which is not that of JavaScript's `<`: compare with `compareKeys`. */
export interface ListPage {
  objects: ListedObject[];
  commonPrefixes: string[];
  /** Undefined when this was the last page. */
  continuation?: string;
}

export interface ListVersionsRequest {
  prefix?: string;
  delimiter?: string;
  maxKeys?: number;
  /** Of the page before. */
  marker?: VersionMarker;
}
export interface VersionMarker {
  key: string;
  versionId?: string;
}
export interface ListedVersion extends ListedObject {
  /** `null` (the word) for one written while versioning was off or suspended. */
  versionId: string;
  latest: boolean;
  /** Then size and ETag mean nothing (0 and ''). */
  deleteMarker: boolean;
}
/** Versions of one key from the newest to the oldest. */
export interface VersionPage {
  versions: ListedVersion[];
  commonPrefixes: string[];
  next?: VersionMarker;
}

export interface ListUploadsRequest {
  prefix?: string;
  maxUploads?: number;
  marker?: UploadMarker;
}
export interface UploadMarker {
  key: string;
  uploadId?: string;
}
export interface UploadPage {
  uploads: (UploadRef & { initiatedAtMs: number; storageClass: string })[];
  next?: UploadMarker;
}
export interface PartPage {
  parts: (UploadedPart & { lastModifiedMs: number })[];
  /** Give it as `afterPart` for the next page. */
  next?: number;
}

export interface DeleteResult {
  /** Of the delete marker made, or of the version removed. */
  versionId?: string;
  /** A marker was made, or it was a marker that was removed. */
  deleteMarker: boolean;
}
export interface DeleteTarget {
  key: string;
  versionId?: string;
}
/** The answer for one of many; `failed` holds the store's own words. */
export type DeleteOutcome = DeleteTarget & ({ kind: 'deleted' } | { kind: 'failed'; code: string; message: string });

export interface CopySource {
  /** Default: the client's own bucket. */
  bucket?: string;
  key: string;
  versionId?: string;
  /** OBJECT_CHANGED when the source has another by now. */
  ifMatch?: string;
}
export interface CopyOptions extends WriteConditions {
  /** Given: replaces content headers and metadata. Left out: both are copied. */
  replace?: { content?: ContentHeaders; metadata?: Record<string, string> };
  tags?: Record<string, string>;
  storageClass?: string;
}

export interface Retention {
  mode: LockMode;
  untilMs: number;
}
/** The calls on one bucket. Safe to share and to call as wide as wanted: connections are bounded inside. */
export interface ObjectClient extends AsyncDisposable {
  readonly place: ObjectPlace;
  readonly dialect: 's3' | 'oss';
  readonly bucket: string;
  /** For messages: dialect, bucket and endpoint host. */
  readonly name: string;
  readonly supports: Supports;

  list(request?: ListRequest, call?: CallOptions): Promise<ListPage>;
  listVersions(request?: ListVersionsRequest, call?: CallOptions): Promise<VersionPage>;

  /** @throws OBJECT_UNKNOWN, also where a missing bucket cannot be told from a missing key: HEAD has no words. */
  head(key: string, options?: ReadOptions, call?: CallOptions): Promise<ObjectInfo>;
  get(key: string, options?: GetOptions, call?: CallOptions): Promise<ObjectBody>;
  /** The whole body as one buffer, repeated when it breaks off. For small objects: it is all in memory. */
  getBytes(key: string, options?: GetOptions, call?: CallOptions): Promise<ObjectBytes>;

  /**
   * Writes one object. With a condition the answer is certain: when it was lost, the object is read back, and the same
   * bytes count as ours (a lock object must therefore hold something that is the writer's own).
   */
  put(key: string, body: PutBody, options?: PutOptions, call?: CallOptions): Promise<PutResult>;

  createUpload(key: string, options?: UploadOptions, call?: CallOptions): Promise<UploadRef>;
  /** Part numbers from 1 to `supports.maxParts`. */
  uploadPart(
    upload: UploadRef & { partNumber: number },
    body: PutBody,
    options?: PartOptions,
    call?: CallOptions,
  ): Promise<UploadedPart>;
  /** A part that the store takes from an object of its own. */
  copyPart(
    upload: UploadRef & { partNumber: number },
    from: CopySource & { range?: ByteRange },
    call?: CallOptions,
  ): Promise<UploadedPart>;
  /** Parts in the order of their numbers. */
  completeUpload(
    upload: UploadRef,
    parts: readonly UploadedPart[],
    options?: CompleteOptions,
    call?: CallOptions,
  ): Promise<PutResult>;
  /** Also succeeds when the upload is gone already. */
  abortUpload(upload: UploadRef, call?: CallOptions): Promise<void>;
  listParts(upload: UploadRef, page?: { afterPart?: number; maxParts?: number }, call?: CallOptions): Promise<PartPage>;
  listUploads(request?: ListUploadsRequest, call?: CallOptions): Promise<UploadPage>;

  /** Succeeds also when there was nothing. With versioning and no version id it makes a delete marker. */
  delete(key: string, options?: { versionId?: string }, call?: CallOptions): Promise<DeleteResult>;
  /** At most 1,000; one outcome for each, in the order given. */
  deleteMany(targets: readonly DeleteTarget[], call?: CallOptions): Promise<DeleteOutcome[]>;

  getTags(key: string, options?: { versionId?: string }, call?: CallOptions): Promise<Record<string, string>>;
  /** Replaces all tags; none removes them. */
  putTags(
    key: string,
    tags: Record<string, string>,
    options?: { versionId?: string },
    call?: CallOptions,
  ): Promise<void>;

  /** A copy inside the store, at most 5 GB (OSS: 1 GB advised); larger ones by `copyPart`. */
  copy(from: CopySource, toKey: string, options?: CopyOptions, call?: CallOptions): Promise<PutResult>;
  /** Asks for an archived object to be readable for so many days. Also succeeds when that is under way. */
  restore(key: string, options: { days: number; versionId?: string; tier?: string }, call?: CallOptions): Promise<void>;
  getRetention(key: string, options?: { versionId?: string }, call?: CallOptions): Promise<Retention | undefined>;
  putRetention(
    key: string,
    retention: Retention,
    options?: { versionId?: string; bypassGovernance?: boolean },
    call?: CallOptions,
  ): Promise<void>;
  getLegalHold(key: string, options?: { versionId?: string }, call?: CallOptions): Promise<boolean>;
  putLegalHold(key: string, held: boolean, options?: { versionId?: string }, call?: CallOptions): Promise<void>;
  /** Succeeds also when the bucket is ours already. `lock`: with object lock (S3), which cannot be added everywhere later. */
  createBucket(options?: { lock?: boolean }, call?: CallOptions): Promise<void>;
  /** Whether the bucket is there and may be used. @throws BUCKET_UNKNOWN, CREDENTIALS_REFUSED */
  headBucket(call?: CallOptions): Promise<{ region?: string }>;
  /** Only an empty bucket. */
  deleteBucket(call?: CallOptions): Promise<void>;
  getVersioning(call?: CallOptions): Promise<Versioning>;
  setVersioning(state: 'enabled' | 'suspended', call?: CallOptions): Promise<void>;
  getBucketLock(call?: CallOptions): Promise<BucketLock>;
  /**
   * S3: what new objects get by default. OSS: a WORM policy, `in-progress` (cancellable, lapses after a day) unless
   * `irrevocable`; a locked one can only be made longer.
   */
  setBucketLock(lock: { mode: LockMode; days: number; irrevocable?: boolean }, call?: CallOptions): Promise<void>;
  listBuckets(call?: CallOptions): Promise<BucketInfo[]>;
}
