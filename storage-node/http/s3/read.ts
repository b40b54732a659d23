import { type ObjectInfo, type ReadOptions } from '../../object/model.ts';
import { type ParsedRequest } from '../operation.ts';
import { addChecksumHeaders } from './checksums.ts';
import { parseEtags, readConditions } from './conditions.ts';
import { parseDate } from './dates.ts';
import { refuseCustomerKey } from './metadata.ts';
import { addLength, addOverrides, objectHeaders, overrideParameters } from './object-headers.ts';
import { type ByteRange, parsePartNumber, parseRange, partRange, refuseRangeWithPart } from './ranges.ts';
import { invalidArgument } from './refusals.ts';

/** What GET and HEAD of an object understand. */
export const readParameters: readonly string[] = ['versionId', 'partNumber', ...overrideParameters];

/** @throws S3Error InvalidArgument for an empty one. */
export function versionIdOf(query: ReadonlyMap<string, string>): string | undefined {
  const versionId = query.get('versionId');
  if (versionId === '') throw invalidArgument('Version id cannot be the empty string', 'versionId', '');
  return versionId;
}

export function readOptionsOf(request: ParsedRequest): ReadOptions {
  refuseCustomerKey(request.headers);
  refuseRangeWithPart(request.headers['range'], request.query.get('partNumber'));
  const options: ReadOptions = {};
  const versionId = versionIdOf(request.query);
  const conditions = readConditions(request.headers);
  if (versionId !== undefined) options.versionId = versionId;
  if (conditions !== undefined) options.conditions = conditions;
  return options;
}

/** The head of an answer about an object and the bytes that belong to it (undefined: none). */
export interface ReadAnswer {
  status: number;
  headers: Record<string, string>;
  range: ByteRange | undefined;
}

/** @throws S3Error InvalidRange, InvalidPartNumber. */
export function readAnswer(request: ParsedRequest, info: ObjectInfo): ReadAnswer {
  const headers = objectHeaders(info);
  addOverrides(headers, request.query);
  const withChecksum = request.headers['x-amz-checksum-mode']?.toUpperCase() === 'ENABLED';
  const asked = request.query.get('partNumber');
  if (asked !== undefined) return partAnswer(info, { number: parsePartNumber(asked), headers, withChecksum });
  const range = parseRange(appliedRange(request, info), info.sizeBytes);
  addLength(headers, info.sizeBytes, range);
  if (range !== undefined) return { status: 206, headers, range };
  if (withChecksum) addChecksumHeaders(headers, info.checksum);
  const whole = info.sizeBytes === 0 ? undefined : { first: 0, last: info.sizeBytes - 1 };
  return { status: 200, headers, range: whole };
}

/** If-Range: the range counts only for the version the client knows (RFC 9110 §13.1.5). */
function appliedRange(request: ParsedRequest, info: ObjectInfo): string | undefined {
  const { range, 'if-range': condition } = request.headers;
  if (range === undefined || condition === undefined) return range;
  const unixMs = condition.includes('"') ? undefined : parseDate(condition);
  const holds =
    unixMs === undefined
      ? parseEtags(condition).includes(info.etag)
      : Math.floor(info.lastModifiedMs / 1000) * 1000 === unixMs;
  return holds ? range : undefined;
}

function partAnswer(
  info: ObjectInfo,
  input: { number: number; headers: Record<string, string>; withChecksum: boolean },
): ReadAnswer {
  const { headers } = input;
  const { part, range } = partRange(info, input.number);
  if (info.multipart) headers['x-amz-mp-parts-count'] = String(info.parts.length);
  if (input.withChecksum) {
    const type = info.checksum?.type;
    const ofPart = part?.checksum === undefined ? undefined : { ...part.checksum, type: type ?? part.checksum.type };
    addChecksumHeaders(headers, info.multipart ? ofPart : info.checksum);
  }
  if (range === undefined) {
    headers['content-length'] = '0';
    return { status: 200, headers, range };
  }
  addLength(headers, info.sizeBytes, range);
  return { status: 206, headers, range };
}
