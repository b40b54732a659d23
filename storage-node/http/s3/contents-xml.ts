import { type Checksum, type ListPage, type ObjectInfo } from '../../object/model.ts';
import { addPrefixes } from './paging.ts';
import { type KeyWriter, type XmlBytes } from './xml-bytes.ts';

/** About what a row takes, for a first guess at the size of a page. */
const rowBytes = 360;
const keyBytes = 40;

export function pageBytes(page: ListPage): number {
  return (page.objects.length + page.commonPrefixes.length) * (rowBytes + keyBytes);
}

/** The rows of a page of keys. `owner`: an `<Owner>` element or ''. */
export function addPage(out: XmlBytes, page: ListPage, input: { write: KeyWriter; owner: string }): void {
  const { write, owner } = input;
  for (const object of page.objects) {
    out.add('<Contents><Key>');
    out.addKey(object.key, write);
    out.add('</Key><LastModified>');
    out.addTime(object.lastModifiedMs);
    out.add('</LastModified>');
    addContent(out, object);
    out.add(owner);
    out.add('<StorageClass>');
    out.add(object.storageClass);
    out.add('</StorageClass></Contents>');
  }
  addPrefixes(out, page.commonPrefixes, write);
}

/** What a listing says of an object's content: ETag, kind of checksum, size. */
export function addContent(out: XmlBytes, { etag, sizeBytes, checksum }: ObjectInfo): void {
  out.add('<ETag>&quot;');
  out.add(etag);
  out.add('&quot;</ETag>');
  if (checksum !== undefined) out.add(checksumKinds[checksum.algorithm][checksum.type]);
  out.add('<Size>');
  out.add(String(sizeBytes));
  out.add('</Size>');
}

function kindsOf(algorithm: Checksum['algorithm']): Record<Checksum['type'], string> {
  const xml = (type: Checksum['type']): string =>
    `<ChecksumAlgorithm>${algorithm}</ChecksumAlgorithm><ChecksumType>${type}</ChecksumType>`;
  return { FULL_OBJECT: xml('FULL_OBJECT'), COMPOSITE: xml('COMPOSITE') };
}
const checksumKinds: Record<Checksum['algorithm'], Record<Checksum['type'], string>> = {
  CRC32: kindsOf('CRC32'),
  CRC32C: kindsOf('CRC32C'),
  CRC64NVME: kindsOf('CRC64NVME'),
  SHA1: kindsOf('SHA1'),
  SHA256: kindsOf('SHA256'),
};
