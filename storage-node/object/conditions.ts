import { StorageError } from '../errors.ts';
import { type Conditions, type Version } from './model.ts';

/**
 * Judges the conditions of a read against the version it would return, in the order of RFC 9110 §13.2.2 and S3:
 * If-Match wins over If-Unmodified-Since, If-None-Match over If-Modified-Since.
 * @throws StorageError PreconditionFailed, NotModified.
 */
export function checkReadConditions(version: Version, conditions: Conditions): void {
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditions;
  const modifiedMs = wholeSeconds(version.lastModifiedMs);
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, version)) throw failed('If-Match');
  } else if (ifUnmodifiedSinceMs !== undefined && modifiedMs > ifUnmodifiedSinceMs) {
    throw failed('If-Unmodified-Since');
  }
  if (ifNoneMatch !== undefined) {
    if (matches(ifNoneMatch, version)) throw notModified(version);
  } else if (ifModifiedSinceMs !== undefined && modifiedMs <= ifModifiedSinceMs) {
    throw notModified(version);
  }
}

/**
 * Judges the conditions of a write or delete against the newest version; `undefined` when the key has no current
 * object (never written, removed, or hidden by a delete marker).
 * @throws StorageError PreconditionFailed; NoSuchKey when If-Match names an object that is not there.
 */
export function checkWriteConditions(current: Version | undefined, conditions: Conditions): void {
  const { ifMatch, ifNoneMatch, ifSizeBytes, ifLastModifiedMs } = conditions;
  if (ifMatch !== undefined) {
    if (current === undefined) throw new StorageError('NoSuchKey', 'the key named by If-Match does not exist');
    if (!matches(ifMatch, current)) throw failed('If-Match');
  }
  if (ifNoneMatch !== undefined && current !== undefined && matches(ifNoneMatch, current))
    throw failed('If-None-Match');
  if (current === undefined) return;
  if (ifSizeBytes !== undefined && current.sizeBytes !== ifSizeBytes) throw failed('x-amz-if-match-size');
  if (ifLastModifiedMs !== undefined && wholeSeconds(current.lastModifiedMs) !== wholeSeconds(ifLastModifiedMs)) {
    throw failed('x-amz-if-match-last-modified-time');
  }
}

function matches(etags: readonly string[], version: Version): boolean {
  return etags.some((etag) => etag === '*' || etag === version.etag);
}

/** HTTP dates know no fractions. */
function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}

function failed(condition: string): StorageError {
  return new StorageError('PreconditionFailed', 'at least one of the preconditions you specified did not hold', {
    details: { condition },
  });
}

function notModified(version: Version): StorageError {
  return new StorageError('NotModified', 'not modified', {
    details: { etag: version.etag, lastModifiedMs: String(version.lastModifiedMs), versionId: version.versionId },
  });
}
