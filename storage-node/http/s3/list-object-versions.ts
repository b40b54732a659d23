import { type ObjectInfo, type VersionListPage } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { addContent } from './contents-xml.ts';
import { addPrefixes, keyWriterOf, listingHead, pageSizeOf, refuseLoneMarker } from './paging.ts';
import { escapeXml, optional, ownerXml } from './xml.ts';
import { type KeyWriter, type XmlBytes, xmlBytesAnswer } from './xml-bytes.ts';

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
    const expectedBytes = (page.versions.length + page.commonPrefixes.length) * rowBytes;
    return xmlBytesAnswer('ListVersionsResult', expectedBytes, (out) => {
      out.add(head);
      for (const version of page.versions) addVersion(out, version, { write, owner: ownerXml(owner) });
      addPrefixes(out, page.commonPrefixes, write);
    });
  },
};

/** About what a row takes. */
const rowBytes = 560;

function addVersion(out: XmlBytes, version: ObjectInfo, { write, owner }: { write: KeyWriter; owner: string }): void {
  out.add(version.deleteMarker ? '<DeleteMarker><Key>' : '<Version><Key>');
  out.addKey(version.key, write);
  out.add('</Key><VersionId>');
  out.add(version.versionId);
  out.add(version.isLatest ? '</VersionId><IsLatest>true' : '</VersionId><IsLatest>false');
  out.add('</IsLatest><LastModified>');
  out.addTime(version.lastModifiedMs);
  out.add('</LastModified>');
  if (!version.deleteMarker) {
    addContent(out, version);
    out.add(`<StorageClass>${version.storageClass}</StorageClass>`);
  }
  out.add(owner);
  out.add(version.deleteMarker ? '</DeleteMarker>' : '</Version>');
}
