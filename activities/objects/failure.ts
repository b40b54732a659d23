import { type ErrorCode, MusterError } from '../../workflows/engine/errors.ts';

/** A failure of an object store with what the server said of it. */
export class ObjectStoreError extends MusterError {
  /** The server's own word, e.g. `SlowDown`; '' where it said none. */
  readonly serverCode: string;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** What the vendor's support asks for; '' where there is none. */
  readonly requestId: string;
  /** The call may have had its effect all the same. */
  readonly mayHaveHappened: boolean;
  /** How long the server asks to be left alone, milliseconds. */
  readonly retryAfterMs: number | undefined;
  constructor(code: ErrorCode, message: string, facts: FailureFacts, options?: ErrorOptions) {
    super(code, message, options);
    this.serverCode = facts.serverCode ?? '';
    this.status = facts.status ?? 0;
    this.requestId = facts.requestId ?? '';
    this.mayHaveHappened = facts.mayHaveHappened ?? false;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

export interface FailureFacts {
  serverCode?: string;
  status?: number;
  requestId?: string;
  mayHaveHappened?: boolean;
  retryAfterMs?: number | undefined;
}

/** What a server's refusal says, however it came: an XML document, headers, or the bare status. */
export interface Refusal {
  status: number;
  /** The server's own; '' where it said none. */
  code: string;
  message: string;
  /** What the call was about. */
  about: 'bucket' | 'object';
  /** The key's newest version is a delete marker. */
  deleteMarker?: boolean;
}

/**
 * Codes of S3, OSS, MinIO and our own nodes. What is not here is judged by its status. A code that means two things is
 * in `judge`.
 */
const byServerCode: Readonly<Record<string, ErrorCode>> = {
  ...all('BUCKET_UNKNOWN', [
    ...['NoSuchBucket', 'InvalidBucketName', 'PermanentRedirect', 'TemporaryRedirect', 'IncorrectEndpoint'],
    ...['IllegalLocationConstraintException', 'InvalidLocationConstraint', 'AuthorizationHeaderMalformed'],
    ...['SecondLevelDomainForbidden', 'InvalidRegion'],
  ]),
  ...all('OBJECT_UNKNOWN', ['NoSuchKey', 'NoSuchVersion', 'NoSuchUpload', 'NoSuchTagSet', 'SymlinkTargetNotExist']),
  ...all('CREDENTIALS_REFUSED', [
    ...['AccessDenied', 'AccountProblem', 'AllAccessDisabled', 'ExpiredToken', 'InvalidAccessKeyId', 'InvalidPayer'],
    ...['InvalidSecurity', 'InvalidToken', 'NotSignedUp', 'RequestExpired', 'RequestTimeTooSkewed', 'UserDisable'],
    ...['SignatureDoesNotMatch', 'TokenRefreshRequired', 'UnauthorizedAccess', 'InvalidSecurityToken', 'Forbidden'],
    ...['SecurityTokenExpired', 'InvalidAccessKeyId.NotFound', 'InvalidAccessKeyId.Inactive', 'AuthorizationFailure'],
    ...['XMinioAdminNoSuchAccessKey', 'InvalidClientTokenId'],
  ]),
  ...all('OBJECT_CHANGED', [
    ...['PreconditionFailed', 'ConditionalRequestConflict', 'FileAlreadyExists', 'ObjectAlreadyExists'],
    ...['OperationAborted', 'PositionNotEqualToLength', 'NotModified'],
  ]),
  ...all('OBJECT_ARCHIVED', ['InvalidObjectState', 'ObjectNotRestored', 'ObjectNotInActiveTierError']),
  ...all('OBJECT_LOCKED', ['FileImmutable', 'ObjectLocked', 'ImmutableObject', 'ObjectUnderRetention']),
  ...all('CHECKSUM_MISMATCH', [
    ...['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch', 'IncompleteBody'],
    ...['XMinioInvalidObjectChecksum', 'CrcMismatch', 'InvalidPart'],
  ]),
  ...all('TARGET_FULL', [
    ...['InsufficientStorage', 'QuotaExceeded', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded'],
    ...['StorageFull', 'InsufficientCapacity', 'BucketQuotaExceeded', 'CapacityExceeded', 'UserQuotaExceeded'],
    ...['TooManyBuckets', 'XMinioStorageQuotaExceeded', 'SpaceQuotaExceeded'],
  ]),
  ...all('OBJECT_STORE_UNREACHABLE', [
    ...['InternalError', 'ServiceUnavailable', 'SlowDown', 'SlowDownRead', 'SlowDownWrite', 'RequestTimeout', 'Busy'],
    ...[
      'RequestTimeTooShort',
      'ServerBusy',
      'Throttling',
      'ThrottlingException',
      'TooManyRequests',
      'BandwidthLimitExceeded',
    ],
    ...['QpsLimitExceeded', 'TotalQpsLimitExceeded', 'DownloadTrafficRateLimitExceeded', 'XMinioServerNotInitialized'],
    ...['UploadTrafficRateLimitExceeded', 'RequestLimitExceeded', 'EC2ThrottledException', 'XMinioBackendDown'],
  ]),
  // A site that was fenced stays so until somebody opens it: repeating is for whoever knows why.
  ...all('OBJECT_STORE_REFUSED', ['SiteFenced', 'NotImplemented', 'InvalidRange', 'BucketNotEmpty']),
};

function all(code: ErrorCode, names: readonly string[]): Record<string, ErrorCode> {
  return Object.fromEntries(names.map((name) => [name, code]));
}

/** S3 has no code for a lock that forbids: only these words, with one of these codes. */
const lockWords = /object lock|worm|retention|legal hold|immutab/i;
/** Of a bucket that has no locks to give: nothing is locked. */
const noLockWords = /missing object lock/i;
const lockCodes = new Set(['AccessDenied', 'InvalidRequest', 'MethodNotAllowed', 'Forbidden']);

/** Which of our failures a refusal is. Pure. */
export function judge(refusal: Refusal): ErrorCode {
  const { status, code, message, about } = refusal;
  if (refusal.deleteMarker === true) return 'OBJECT_UNKNOWN';
  if (lockCodes.has(code) && lockWords.test(message) && !noLockWords.test(message)) return 'OBJECT_LOCKED';
  const known = byServerCode[code];
  if (known !== undefined) return known;
  switch (status) {
    case 301:
    case 302:
    case 307:
    case 308:
      return 'BUCKET_UNKNOWN';
    case 304:
    case 412:
      return 'OBJECT_CHANGED';
    case 401:
    case 403:
      return 'CREDENTIALS_REFUSED';
    case 404:
      return about === 'bucket' ? 'BUCKET_UNKNOWN' : 'OBJECT_UNKNOWN';
    case 408:
    case 429:
      return 'OBJECT_STORE_UNREACHABLE';
    case 507:
      return 'TARGET_FULL';
    case 501:
      return 'OBJECT_STORE_REFUSED';
    default:
      return status >= 500 ? 'OBJECT_STORE_UNREACHABLE' : 'OBJECT_STORE_REFUSED';
  }
}

/** After these, keys that were renewed meanwhile may do; a wrong clock or a missing right stays. */
const keysMayHaveChanged = new Set(['RequestTimeTooSkewed', 'RequestExpired']);

export function mayRenewKeys(error: ObjectStoreError): boolean {
  return error.code === 'CREDENTIALS_REFUSED' && !keysMayHaveChanged.has(error.serverCode);
}

/** The server asks for fewer requests, not for the same again at once. */
export function isThrottling({ status, serverCode }: ObjectStoreError): boolean {
  return status === 429 || /slow ?down|throttl|busy|limitexceeded|toomany/i.test(serverCode);
}

/** Words of a server, fit for one line of ours. */
export function quoted(text: string): string {
  const clean = text.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
  return clean.length > 300 ? `${clean.slice(0, 299)}…` : clean;
}
