import { type ObjectInfo, type VersionListPage } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { contentXml } from './contents-xml.ts';
import { isoTime } from './dates.ts';
import { addPrefixes, type KeyWriter, keyWriterOf, listingHead, pageSizeOf, refuseLoneMarker } from './paging.ts';
import { escapeXml, optional, ownerXml } from './xml.ts';
import { xmlRowsAnswer } from './xml-rows.ts';

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
    const head =
      listingHead(query, { bucket, write }) +
      `<KeyMarker>${write(keyMarker)}</KeyMarker><VersionIdMarker>${escapeXml(versionIdMarker)}</VersionIdMarker>` +
      (page.nextKeyMarker === undefined ? '' : `<NextKeyMarker>${write(page.nextKeyMarker)}</NextKeyMarker>`) +
      optional('NextVersionIdMarker', page.nextVersionIdMarker) +
      `<MaxKeys>${maxKeys}</MaxKeys><IsTruncated>${page.truncated}</IsTruncated>`;
    const owners = ownerXml(owner);
    const expectedBytes = (page.versions.length + page.commonPrefixes.length) * rowBytes;
    return xmlRowsAnswer('ListVersionsResult', expectedBytes, (out) => {
      out.add(head);
      for (const version of page.versions) out.add(versionXml(version, { write, owner: owners }));
      addPrefixes(out, page.commonPrefixes, write);
    });
  },
};

/** About what a row takes. */
const rowBytes = 560;

function versionXml(version: ObjectInfo, { write, owner }: { write: KeyWriter; owner: string }): string {
  const what =
    `<Key>${write(version.key)}</Key><VersionId>${version.versionId}</VersionId>` +
    `<IsLatest>${version.isLatest}</IsLatest><LastModified>${isoTime(version.lastModifiedMs)}</LastModified>`;
  if (version.deleteMarker) return `<DeleteMarker>${what}${owner}</DeleteMarker>`;
  return `<Version>${what}${contentXml(version)}<StorageClass>${version.storageClass}</StorageClass>${owner}</Version>`;
}
