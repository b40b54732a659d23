import { type ObjectInfo } from '../../object/model.ts';
import { S3Error } from '../s3-error.ts';
import { invalidArgument, invalidRequest } from './refusals.ts';

/** Bytes [first, last], inclusive. */
export interface ByteRange {
  first: number;
  last: number;
}

/**
 * Reads a Range header for an object of this size. Undefined for none, several, or one that cannot be read: HTTP has
 * the whole object answered then.
 * @throws S3Error InvalidRange when no byte of the object is in it.
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  if (header === undefined) return undefined;
  const match = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header);
  if (match === null) return undefined;
  const [, from, to] = match;
  if (from === '') {
    if (to === '') return undefined;
    const count = Math.min(Number(to), sizeBytes);
    if (count === 0) throw invalidRange(header, sizeBytes);
    return { first: sizeBytes - count, last: sizeBytes - 1 };
  }
  const first = Number(from);
  const last = to === '' ? Infinity : Number(to);
  if (last < first) return undefined;
  if (first >= sizeBytes) throw invalidRange(header, sizeBytes);
  return { first, last: Math.min(last, sizeBytes - 1) };
}

export function invalidRange(asked: string, sizeBytes: number): S3Error {
  return new S3Error('InvalidRange', 416, 'The requested range is not satisfiable', {
    fields: { RangeRequested: asked, ActualObjectSize: String(sizeBytes) },
    headers: { 'content-range': `bytes */${sizeBytes}` },
  });
}

/** @throws S3Error InvalidArgument unless it is a whole number from 1 to 10,000. */
export function parsePartNumber(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= 10_000) return number;
  throw invalidArgument('Part number must be an integer between 1 and 10000, inclusive', 'partNumber', text);
}

/** A part of an object as the object keeps it, and where its bytes are. */
export interface PartRange {
  part: ObjectInfo['parts'][number] | undefined;
  /** Undefined when the part has no bytes. */
  range: ByteRange | undefined;
}

/**
 * Where a part of an object lies. An object that was put at once is its own part 1.
 * @throws S3Error InvalidPartNumber for one it does not have.
 */
export function partRange(info: ObjectInfo, number: number): PartRange {
  if (!info.multipart) {
    if (number !== 1) throw noSuchPart(number, 1);
    return { part: undefined, range: stretch(0, info.sizeBytes) };
  }
  let first = 0;
  for (const part of info.parts) {
    if (part.number === number) return { part, range: stretch(first, part.sizeBytes) };
    first += part.sizeBytes;
  }
  throw noSuchPart(number, info.parts.length);
}

function stretch(first: number, bytes: number): ByteRange | undefined {
  return bytes === 0 ? undefined : { first, last: first + bytes - 1 };
}

function noSuchPart(number: number, count: number): S3Error {
  const fields = { PartNumberRequested: String(number), ActualPartCount: String(count) };
  return new S3Error('InvalidPartNumber', 416, 'The requested partnumber is not satisfiable', { fields });
}

/** The range of UploadPartCopy: both ends are there and inside the source. @throws S3Error */
export function parseCopyRange(header: string, sizeBytes: number): ByteRange {
  const match = /^bytes=(\d+)-(\d+)$/.exec(header);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || last < first) {
    const message =
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy';
    throw invalidArgument(message, 'x-amz-copy-source-range', header);
  }
  if (last >= sizeBytes) throw invalidRange(header, sizeBytes);
  return { first, last };
}

/** @throws S3Error InvalidRequest when a request names both a range and a part. */
export function refuseRangeWithPart(range: string | undefined, part: string | undefined): void {
  if (range !== undefined && part !== undefined) {
    throw invalidRequest('Cannot specify both Range header and partNumber query parameter');
  }
}
