import { type ObjectInfo } from '../../object/model.ts';
import { isoTime } from './dates.ts';
import { type KeyWriter } from './paging.ts';

/**
 * The rows of a listing. Written by hand: a page has a thousand of them, and a builder takes nine times as long.
 * `owner`: an `<Owner>` element or ''.
 */
export function contentsXml(objects: readonly ObjectInfo[], input: { write: KeyWriter; owner: string }): string {
  const { write, owner } = input;
  let xml = '';
  for (const object of objects) {
    const { checksum } = object;
    xml += `<Contents><Key>${write(object.key)}</Key><LastModified>${isoTime(object.lastModifiedMs)}</LastModified><ETag>&quot;${object.etag}&quot;</ETag>`;
    if (checksum !== undefined) {
      xml += `<ChecksumAlgorithm>${checksum.algorithm}</ChecksumAlgorithm><ChecksumType>${checksum.type}</ChecksumType>`;
    }
    xml += `<Size>${object.sizeBytes}</Size>${owner}<StorageClass>${object.storageClass}</StorageClass></Contents>`;
  }
  return xml;
}
