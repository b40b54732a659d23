/** The cluster as the dialects see it: buckets, objects, uploads. Every refusal is a `StorageError`. */
import {
  type Bucket,
  type ChangePage,
  type Checksum,
  type ChecksumAlgorithm,
  type CompleteInput,
  type CompleteResult,
  type DeleteInput,
  type DeleteResult,
  type ListInput,
  type ListPage,
  type ObjectInfo,
  type OpenObject,
  type PartListPage,
  type PutInput,
  type PutResult,
  type ReadOptions,
  type TagsInput,
  type Upload,
  type UploadInfo,
  type UploadListPage,
  type VersionListInput,
  type VersionListPage,
} from './model.ts';

export interface ObjectLayer {
  createBucket(input: { name: string; owner: string; region: string }): Promise<Bucket>;
  /** @throws StorageError NoSuchBucket. */
  bucket(name: string): Promise<Bucket>;
  listBuckets(): Promise<Bucket[]>;
  /** @throws StorageError BucketNotEmpty while a key, version or delete marker is there. Ends its uploads. */
  deleteBucket(name: string): Promise<void>;
  setVersioning(name: string, versioning: 'Enabled' | 'Suspended'): Promise<void>;
  /** Stores (or with undefined removes) a configuration document of a bucket, exactly as given. */
  setDocument(name: string, document: string, content: string | undefined): Promise<void>;

  put(input: PutInput): Promise<Upload<PutResult>>;
  /** @throws StorageError NoSuchKey (details.deleteMarker and .versionId when hidden by one), NotModified, PreconditionFailed. */
  head(bucket: string, key: string, options: ReadOptions): Promise<ObjectInfo>;
  open(bucket: string, key: string, options: ReadOptions): Promise<OpenObject>;
  remove(input: DeleteInput): Promise<DeleteResult>;
  /** @throws StorageError NoSuchKey, NoSuchVersion, MethodNotAllowedOnDeleteMarker, PreconditionFailed. */
  setTags(input: TagsInput): Promise<{ versionId: string | undefined }>;
  list(bucket: string, input: ListInput): Promise<ListPage>;
  listVersions(bucket: string, input: VersionListInput): Promise<VersionListPage>;

  createUpload(input: {
    bucket: string;
    key: string;
    metadata: PutInput['metadata'];
    tags?: PutInput['tags'];
    storageClass?: string;
    checksumAlgorithm: ChecksumAlgorithm | undefined;
    checksumType: Checksum['type'] | undefined;
  }): Promise<UploadInfo>;
  putPart(input: {
    bucket: string;
    key: string;
    uploadId: string;
    number: number;
    expectedBytes: number | undefined;
  }): Promise<Upload<{ etag: string }>>;
  upload(bucket: string, key: string, uploadId: string): Promise<UploadInfo>;
  listParts(
    bucket: string,
    key: string,
    uploadId: string,
    page: { afterPart: number; maxParts: number },
  ): Promise<PartListPage>;
  listUploads(
    bucket: string,
    input: { prefix: string; delimiter: string; keyMarker: string; uploadIdMarker: string; maxUploads: number },
  ): Promise<UploadListPage>;
  completeUpload(input: CompleteInput): Promise<CompleteResult>;
  abortUpload(bucket: string, key: string, uploadId: string): Promise<void>;

  /** Committed writes and deletes in order, gap-free. `waitMs`: how long to wait for the first one. */
  changes(bucket: string, input: { after: number; limit: number; waitMs: number }): Promise<ChangePage>;
}
