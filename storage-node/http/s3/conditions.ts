import { type Conditions } from '../../object/model.ts';
import { parseDate } from './dates.ts';
import { headerNotImplemented, invalidArgument } from './refusals.ts';

type Headers = Readonly<Record<string, string>>;

/** The ETags of a condition, without quotes and weakness; `*` stays. */
export function parseEtags(text: string): string[] {
  const quoted = [...text.matchAll(/(?:W\/)?"([^"]*)"/g)].map((match) => match[1]!);
  return quoted.length > 0 ? quoted : text.split(',').map((etag) => etag.trim());
}

/** Conditions of a read; with `prefix` those on the source of a copy. */
export function readConditions(headers: Headers, prefix = ''): Conditions | undefined {
  const ifMatch = headers[`${prefix}if-match`];
  const ifNoneMatch = headers[`${prefix}if-none-match`];
  const ifModifiedSince = headers[`${prefix}if-modified-since`];
  const ifUnmodifiedSince = headers[`${prefix}if-unmodified-since`];
  if ((ifMatch ?? ifNoneMatch ?? ifModifiedSince ?? ifUnmodifiedSince) === undefined) return undefined;
  const conditions: Conditions = {};
  if (ifMatch !== undefined) conditions.ifMatch = parseEtags(ifMatch);
  if (ifNoneMatch !== undefined) conditions.ifNoneMatch = parseEtags(ifNoneMatch);
  const modifiedMs = ifModifiedSince === undefined ? undefined : parseDate(ifModifiedSince);
  const unmodifiedMs = ifUnmodifiedSince === undefined ? undefined : parseDate(ifUnmodifiedSince);
  if (modifiedMs !== undefined) conditions.ifModifiedSinceMs = modifiedMs;
  if (unmodifiedMs !== undefined) conditions.ifUnmodifiedSinceMs = unmodifiedMs;
  return conditions;
}

/**
 * Conditions of a write: If-Match with an ETag, or If-None-Match: *.
 * @throws S3Error NotImplemented for what S3 does not judge on a write.
 */
export function writeConditions(headers: Headers): Conditions {
  const ifMatch = headers['if-match'];
  const ifNoneMatch = headers['if-none-match'];
  if (headers['if-modified-since'] !== undefined) throw headerNotImplemented('If-Modified-Since');
  if (headers['if-unmodified-since'] !== undefined) throw headerNotImplemented('If-Unmodified-Since');
  if (ifNoneMatch !== undefined && (ifMatch !== undefined || ifNoneMatch.trim() !== '*')) {
    throw headerNotImplemented('If-None-Match');
  }
  if (ifNoneMatch !== undefined) return { ifNoneMatch: ['*'] };
  return ifMatch === undefined ? {} : { ifMatch: parseEtags(ifMatch) };
}

/** Conditions of a delete as headers. */
export function deleteConditions(headers: Headers): Conditions | undefined {
  return deleteConditionsOf({
    etag: headers['if-match'],
    size: headers['x-amz-if-match-size'],
    lastModified: headers['x-amz-if-match-last-modified-time'],
  });
}

/**
 * Conditions of a delete, from headers or from an object of a DeleteObjects document.
 * @throws S3Error InvalidArgument: a condition that cannot be read must never be taken for none.
 */
export function deleteConditionsOf(given: {
  etag: string | undefined;
  size: string | undefined;
  lastModified: string | undefined;
}): Conditions | undefined {
  const { etag, size, lastModified } = given;
  if ((etag ?? size ?? lastModified) === undefined) return undefined;
  const conditions: Conditions = {};
  if (etag !== undefined) conditions.ifMatch = parseEtags(etag);
  if (size !== undefined) {
    if (!/^\d{1,15}$/.test(size)) throw invalidArgument('The size is not a number', 'x-amz-if-match-size', size);
    conditions.ifSizeBytes = Number(size);
  }
  if (lastModified !== undefined) {
    const unixMs = parseDate(lastModified);
    if (unixMs === undefined) {
      throw invalidArgument('The time is not a date', 'x-amz-if-match-last-modified-time', lastModified);
    }
    conditions.ifLastModifiedMs = unixMs;
  }
  return conditions;
}
