import { type ObjectInfo, type VersionListPage } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { isoTime } from './dates.ts';
import { type KeyWriter, keyWriterOf, listingHead, pageSizeOf, prefixesXml, refuseLoneMarker } from './paging.ts';
import { escapeXml, optional, ownerXml, xmlAnswer } from './xml.ts';

const noVersions: VersionListPage = {
  versions: [],
  commonPrefixes: [],
  truncated: false,
  nextKeyMarker: undefined,
  nextVersionIdMarker: undefined,
};

export const listObjectVersions: Operation = {
  name: 'ListObjectVersions',
  dialect: 's3',
  method: 'GET',
  resource: 'bucket',
  query: ['versions'],
  actions: ['s3:ListBucketVersions'],
  parameters: ['delimiter', 'encoding-type', 'key-marker', 'max-keys', 'prefix', 'version-id-marker'],
  async handle({ request, layer }) {
    const { bucket, query } = request;
    const write = keyWriterOf(query);
    const maxKeys = pageSizeOf(query, 'max-keys');
    refuseLoneMarker(query, 'key-marker', 'version-id-marker');
    const [keyMarker, versionIdMarker] = [query.get('key-marker') ?? '', query.get('version-id-marker') ?? ''];
    const { owner } = await layer.bucket(bucket);
    const [prefix, delimiter] = [query.get('prefix') ?? '', query.get('delimiter') ?? ''];
    const page =
      maxKeys === 0
        ? noVersions
        : await layer.listVersions(bucket, { prefix, delimiter, keyMarker, versionIdMarker, maxKeys });
    return xmlAnswer(
      'ListVersionsResult',
      listingHead(query, { bucket, write }) +
        `<KeyMarker>${write(keyMarker)}</KeyMarker><VersionIdMarker>${escapeXml(versionIdMarker)}</VersionIdMarker>` +
        (page.nextKeyMarker === undefined ? '' : `<NextKeyMarker>${write(page.nextKeyMarker)}</NextKeyMarker>`) +
        optional('NextVersionIdMarker', page.nextVersionIdMarker) +
        `<MaxKeys>${maxKeys}</MaxKeys><IsTruncated>${page.truncated}</IsTruncated>` +
        versionsXml(page.versions, { write, owner: ownerXml(owner) }) +
        prefixesXml(page.commonPrefixes, write),
    );
  },
};

function versionsXml(versions: readonly ObjectInfo[], input: { write: KeyWriter; owner: string }): string {
  let xml = '';
  for (const version of versions) {
    const what =
      `<Key>${input.write(version.key)}</Key><VersionId>${version.versionId}</VersionId>` +
      `<IsLatest>${version.isLatest}</IsLatest><LastModified>${isoTime(version.lastModifiedMs)}</LastModified>`;
    xml += version.deleteMarker
      ? `<DeleteMarker>${what}${input.owner}</DeleteMarker>`
      : `<Version>${what}${contentXml(version)}${input.owner}</Version>`;
  }
  return xml;
}

function contentXml({ etag, sizeBytes, storageClass, checksum }: ObjectInfo): string {
  const summed =
    checksum === undefined
      ? ''
      : `<ChecksumAlgorithm>${checksum.algorithm}</ChecksumAlgorithm><ChecksumType>${checksum.type}</ChecksumType>`;
  return `<ETag>&quot;${etag}&quot;</ETag>${summed}<Size>${sizeBytes}</Size><StorageClass>${storageClass}</StorageClass>`;
}
