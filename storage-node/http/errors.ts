import { StorageError, type StorageErrorCode } from '../errors.ts';
import { type Answer, type Dialect } from './operation.ts';
import { S3Error } from './s3-error.ts';
import { escapeXml } from './s3/xml.ts';

/** How each of our refusals is said in S3's words: code, HTTP status, and AWS's own sentence where it has one. */
const wording: Record<
  StorageErrorCode,
  { code: string; status: number; message?: string; retryAfterSeconds?: number }
> = {
  NoSuchBucket: { code: 'NoSuchBucket', status: 404, message: 'The specified bucket does not exist' },
  NoSuchKey: { code: 'NoSuchKey', status: 404, message: 'The specified key does not exist.' },
  NoSuchVersion: { code: 'NoSuchVersion', status: 404, message: 'The specified version does not exist.' },
  NoSuchUpload: {
    code: 'NoSuchUpload',
    status: 404,
    message:
      'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
  },
  MethodNotAllowedOnDeleteMarker: {
    code: 'MethodNotAllowed',
    status: 405,
    message: 'The specified method is not allowed against this resource.',
  },
  BucketAlreadyOwnedByYou: {
    code: 'BucketAlreadyOwnedByYou',
    status: 409,
    message: 'Your previous request to create the named bucket succeeded and you already own it.',
  },
  BucketAlreadyExists: {
    code: 'BucketAlreadyExists',
    status: 409,
    message:
      'The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.',
  },
  BucketNotEmpty: { code: 'BucketNotEmpty', status: 409, message: 'The bucket you tried to delete is not empty' },
  PreconditionFailed: {
    code: 'PreconditionFailed',
    status: 412,
    message: 'At least one of the pre-conditions you specified did not hold',
  },
  NotModified: { code: 'NotModified', status: 304 },
  ConditionalRequestConflict: { code: 'ConditionalRequestConflict', status: 409 },
  InvalidRange: { code: 'InvalidRange', status: 416, message: 'The requested range is not satisfiable' },
  InvalidPart: {
    code: 'InvalidPart',
    status: 400,
    message:
      "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
  },
  InvalidPartOrder: {
    code: 'InvalidPartOrder',
    status: 400,
    message: 'The list of parts was not in ascending order. Parts must be ordered by part number.',
  },
  EntityTooSmall: {
    code: 'EntityTooSmall',
    status: 400,
    message: 'Your proposed upload is smaller than the minimum allowed size',
  },
  EntityTooLarge: {
    code: 'EntityTooLarge',
    status: 400,
    message: 'Your proposed upload exceeds the maximum allowed size',
  },
  KeyTooLong: { code: 'KeyTooLongError', status: 400, message: 'Your key is too long' },
  TooManyVersions: { code: 'InvalidRequest', status: 400 },
  BadDigest: { code: 'BadDigest', status: 400 },
  IncompleteBody: { code: 'IncompleteBody', status: 400 },
  InvalidArgument: { code: 'InvalidArgument', status: 400 },
  WriteQuorumLost: { code: 'ServiceUnavailable', status: 503, retryAfterSeconds: 1 },
  ReadQuorumLost: { code: 'ServiceUnavailable', status: 503, retryAfterSeconds: 1 },
  Undecided: { code: 'ServiceUnavailable', status: 503, retryAfterSeconds: 1 },
  OutOfSpace: { code: 'InsufficientStorage', status: 507 },
  Fenced: { code: 'SiteFenced', status: 503 },
  Busy: { code: 'SlowDown', status: 503, retryAfterSeconds: 1 },
  Corrupt: { code: 'InternalError', status: 500 },
  Internal: { code: 'InternalError', status: 500 },
};

/** An answer for anything thrown. What is no known refusal says nothing about its cause. */
export function refusal(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  if (!(error instanceof StorageError)) {
    return new S3Error('InternalError', 500, 'We encountered an internal error. Please try again.', { cause: error });
  }
  const { code, status, message, retryAfterSeconds } = wording[error.code];
  const headers: Record<string, string> = {};
  if (retryAfterSeconds !== undefined) headers['retry-after'] = String(retryAfterSeconds);
  const { deleteMarker, versionId, lastModifiedMs, etag } = error.details;
  if (deleteMarker === 'true') {
    headers['x-amz-delete-marker'] = 'true';
    if (versionId !== undefined) headers['x-amz-version-id'] = versionId;
  }
  if (error.code === 'MethodNotAllowedOnDeleteMarker') headers['allow'] = 'DELETE';
  if (lastModifiedMs !== undefined) headers['last-modified'] = new Date(Number(lastModifiedMs)).toUTCString();
  if (error.code === 'NotModified' && etag !== undefined) headers['etag'] = `"${etag}"`;
  const { condition } = error.details;
  const fields: Record<string, string> = condition === undefined ? {} : { Condition: condition };
  return new S3Error(code, status, message ?? error.message, { headers, fields, cause: error });
}

/** The document of a refusal; HEAD and 304 have none. */
export function errorAnswer(
  error: S3Error,
  request: { dialect: Dialect; method: string; bucket: string; key: string; requestId: string; host: string },
): Answer {
  const headers = { ...error.headers };
  if (request.method === 'HEAD' || error.status === 304) return { status: error.status, headers };
  const fields: Record<string, string> = { Code: error.code, Message: error.message };
  if (request.dialect === 's3') {
    if (request.bucket !== '') fields['BucketName'] = request.bucket;
    if (request.key !== '') fields['Key'] = request.key;
    fields['Resource'] = `/${request.bucket}${request.key === '' ? '' : `/${request.key}`}`;
  }
  Object.assign(fields, error.fields, { RequestId: request.requestId, HostId: request.host });
  const content = Object.entries(fields).map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`);
  return {
    status: error.status,
    headers: { ...headers, 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${content.join('')}</Error>`,
  };
}
