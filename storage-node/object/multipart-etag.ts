import { createHash } from 'node:crypto';
import { StorageError } from '../errors.ts';
import { type CompleteInput, type PartInfo } from './model.ts';

/** Parts but the last must be as large as this, as in S3. */
export const smallestPartBytes = 5 * 1024 * 1024;

/** MD5 of the parts' MD5s, and their number: what S3 shows as the ETag of a multipart object. */
export function multipartEtag(md5s: readonly string[]): string {
  const hash = createHash('md5');
  for (const md5 of md5s) hash.update(Buffer.from(md5, 'hex'));
  return `${hash.digest('hex')}-${md5s.length}`;
}

/**
 * Checks the client's list of parts against those that were uploaded.
 * @throws StorageError InvalidPartOrder, InvalidPart, EntityTooSmall.
 */
export function checkParts(asked: CompleteInput['parts'], uploaded: ReadonlyMap<number, PartInfo>): void {
  if (asked.length === 0) throw new StorageError('InvalidArgument', 'you must specify at least one part');
  asked.forEach((part, i) => {
    if (i > 0 && part.number <= asked[i - 1]!.number) {
      throw new StorageError('InvalidPartOrder', 'the list of parts was not in ascending order');
    }
    const found = uploaded.get(part.number);
    const sameSum =
      part.checksum === undefined || found?.checksum === undefined || part.checksum === found.checksum.value;
    if (found === undefined || found.etag !== part.etag || !sameSum) {
      throw new StorageError('InvalidPart', 'one or more of the specified parts could not be found', {
        details: { partNumber: String(part.number) },
      });
    }
  });
  for (const { number } of asked.slice(0, -1)) {
    const { sizeBytes } = uploaded.get(number)!;
    if (sizeBytes >= smallestPartBytes) continue;
    const message = `part ${number} has ${sizeBytes} bytes; all but the last need ${smallestPartBytes}`;
    throw new StorageError('EntityTooSmall', message, { details: { partNumber: String(number) } });
  }
}
