/**
 * What can go wrong inside a storage cluster, as the layers above decide by it. The dialects (S3, OSS) translate each
 * code into their own words in one table; nothing else makes a client's error.
 */
export type StorageErrorCode =
  // what the client asked for is not there or not so
  | 'NoSuchBucket'
  | 'NoSuchKey'
  | 'NoSuchVersion'
  | 'NoSuchUpload'
  | 'MethodNotAllowedOnDeleteMarker'
  | 'BucketAlreadyOwnedByYou'
  | 'BucketAlreadyExists'
  | 'BucketNotEmpty'
  | 'PreconditionFailed'
  | 'NotModified'
  | 'ConditionalRequestConflict'
  | 'InvalidRange'
  | 'InvalidPart'
  | 'InvalidPartOrder'
  | 'EntityTooSmall'
  | 'EntityTooLarge'
  | 'KeyTooLong'
  | 'TooManyVersions'
  | 'BadDigest'
  | 'IncompleteBody'
  | 'InvalidArgument'
  // what the cluster cannot do now; every one of them may be repeated by the client
  | 'WriteQuorumLost'
  | 'ReadQuorumLost'
  | 'Undecided'
  | 'OutOfSpace'
  | 'Fenced'
  | 'Busy'
  // never expected
  | 'Corrupt'
  | 'Internal';

/** A refusal with a code. The message names the thing and holds no secret. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: StorageErrorCode;
  /** Facts a dialect shows beside the message, such as the version id of a delete marker. */
  readonly details: Readonly<Record<string, string>>;
  constructor(
    code: StorageErrorCode,
    message: string,
    options: { cause?: unknown; details?: Readonly<Record<string, string>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}
