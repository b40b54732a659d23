import { type Checksum, type ListedObject, type ListPage } from '../../object/model.ts';
import { isoTime } from './dates.ts';
import { addPrefixes, type KeyWriter } from './paging.ts';
import { type XmlRows } from './xml-rows.ts';

/** About what a row takes with its key: the first guess at the size of a page. */
const rowBytes = 400;

export function pageBytes(page: ListPage): number {
  return (page.objects.length + page.commonPrefixes.length) * rowBytes;
}

/**
 * The rows of a page of keys. Written by hand and of few pieces: a page has a thousand of them, and a builder takes
 * nine times as long. `owner`: an `<Owner>` element or ''.
 */
export function addPage(out: XmlRows, page: ListPage, input: { write: KeyWriter; owner: string }): void {
  const { write } = input;
  const afterSize = `</Size>${input.owner}<StorageClass>`;
  for (const object of page.objects) {
    out.add(
      `<Contents><Key>${write(object.key)}</Key><LastModified>${isoTime(object.lastModifiedMs)}</LastModified><ETag>&quot;${object.etag}${afterEtag(object.checksum)}${object.sizeBytes}${afterSize}${object.storageClass}</StorageClass></Contents>`,
    );
  }
  addPrefixes(out, page.commonPrefixes, write);
}

/** What a listing says of an object's content: ETag, kind of checksum, size. */
export function contentXml({
  etag,
  sizeBytes,
  checksum,
}: Pick<ListedObject, 'etag' | 'sizeBytes' | 'checksum'>): string {
  return `<ETag>&quot;${etag}${afterEtag(checksum)}${sizeBytes}</Size>`;
}

function afterEtag(checksum: ListedObject['checksum']): string {
  return checksum === undefined ? '&quot;</ETag><Size>' : checksumKinds[checksum.algorithm][checksum.type];
}

function kindsOf(algorithm: Checksum['algorithm']): Record<Checksum['type'], string> {
  const xml = (type: Checksum['type']): string =>
    `&quot;</ETag><ChecksumAlgorithm>${algorithm}</ChecksumAlgorithm><ChecksumType>${type}</ChecksumType><Size>`;
  return { FULL_OBJECT: xml('FULL_OBJECT'), COMPOSITE: xml('COMPOSITE') };
}
const checksumKinds: Record<Checksum['algorithm'], Record<Checksum['type'], string>> = {
  CRC32: kindsOf('CRC32'),
  CRC32C: kindsOf('CRC32C'),
  CRC64NVME: kindsOf('CRC64NVME'),
  SHA1: kindsOf('SHA1'),
  SHA256: kindsOf('SHA256'),
};
