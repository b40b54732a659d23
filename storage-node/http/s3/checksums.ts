import { type Checksum, type ChecksumAlgorithm } from '../../object/model.ts';
import { S3Error } from '../s3-error.ts';
import { invalidArgument, invalidRequest } from './refusals.ts';
import { escapeXml } from './xml.ts';

type Headers = Readonly<Record<string, string>>;

export const checksumAlgorithms: readonly ChecksumAlgorithm[] = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'];

function headerOf(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/** Puts an object's (or part's) checksum among an answer's headers. */
export function addChecksumHeaders(headers: Record<string, string>, checksum: Checksum | undefined): void {
  if (checksum === undefined) return;
  headers[headerOf(checksum.algorithm)] = checksum.value;
  headers['x-amz-checksum-type'] = checksum.type;
}

/** `<ChecksumCRC32>..</ChecksumCRC32>`, with the type where the document has room for it. */
export function checksumXml(checksum: Checksum | undefined, withType: boolean): string {
  if (checksum === undefined) return '';
  const name = `Checksum${checksum.algorithm}`;
  const type = withType ? `<ChecksumType>${checksum.type}</ChecksumType>` : '';
  return `<${name}>${escapeXml(checksum.value)}</${name}>${type}`;
}

/** @throws S3Error InvalidRequest for an algorithm that is not known. */
export function parseAlgorithm(text: string): ChecksumAlgorithm {
  const algorithm = checksumAlgorithms.find((known) => known === text.toUpperCase());
  if (algorithm === undefined) {
    throw invalidRequest(
      'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]',
    );
  }
  return algorithm;
}

/** @throws S3Error InvalidRequest for a type that is not known. */
export function parseChecksumType(text: string): Checksum['type'] {
  const type = text.toUpperCase();
  if (type === 'FULL_OBJECT' || type === 'COMPOSITE') return type;
  throw invalidRequest('Value for x-amz-checksum-type header is invalid.');
}

/** How the parts of a multipart upload will be summed up. */
export interface ChecksumPlan {
  algorithm: ChecksumAlgorithm | undefined;
  type: Checksum['type'] | undefined;
}

/**
 * What CreateMultipartUpload asks for. Without a type, CRC64NVME sums up whole objects and the others their parts.
 * @throws S3Error InvalidRequest for pairs that cannot be computed.
 */
export function checksumPlanOf(headers: Headers): ChecksumPlan {
  const asked = headers['x-amz-checksum-algorithm'];
  const askedType = headers['x-amz-checksum-type'];
  if (asked === undefined) {
    if (askedType === undefined) return { algorithm: undefined, type: undefined };
    throw invalidRequest('The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.');
  }
  const algorithm = parseAlgorithm(asked);
  const type =
    askedType === undefined ? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE') : parseChecksumType(askedType);
  const impossible = type === 'COMPOSITE' ? algorithm === 'CRC64NVME' : algorithm.startsWith('SHA');
  if (impossible) {
    throw invalidRequest(
      `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
    );
  }
  return { algorithm, type };
}

/**
 * The checksum of the whole object that a client claims when it completes a multipart upload.
 * @throws S3Error InvalidRequest for two at once, InvalidArgument for one that is no base64.
 */
export function claimedChecksum(headers: Headers): Checksum | undefined {
  const claimed = checksumAlgorithms.filter((algorithm) => headers[headerOf(algorithm)] !== undefined);
  const [algorithm] = claimed;
  if (algorithm === undefined) return undefined;
  if (claimed.length > 1) {
    throw invalidRequest('Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.');
  }
  const value = headers[headerOf(algorithm)]!;
  if (!/^[A-Za-z0-9+/]+={0,2}(-\d{1,5})?$/.test(value)) {
    throw invalidArgument(`Value for ${headerOf(algorithm)} header is invalid.`, headerOf(algorithm), value);
  }
  const type = headers['x-amz-checksum-type'];
  const shown = /-\d+$/.test(value) ? 'COMPOSITE' : 'FULL_OBJECT';
  return { algorithm, value, type: type === undefined ? shown : parseChecksumType(type) };
}

/** @throws S3Error InvalidRequest when a part was sent with another algorithm than its upload was begun with. */
export function checkPartChecksum(expected: ChecksumAlgorithm | undefined, actual: Checksum | undefined): void {
  if (expected === undefined || actual === undefined || actual.algorithm === expected) return;
  const named = `expected checksum Type: ${expected.toLowerCase()}, actual checksum Type: ${actual.algorithm.toLowerCase()}`;
  throw new S3Error('InvalidRequest', 400, `Checksum Type mismatch occurred, ${named}`);
}
