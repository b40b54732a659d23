import { bareEtag } from '../dialect/etag.ts';
import { type Caller } from '../http/caller.ts';
import {
  type CallOptions,
  type ListedObject,
  type ListedVersion,
  type ListPage,
  type ListRequest,
  type ListVersionsRequest,
  type ObjectClient,
  type VersionPage,
} from '../types.ts';
import { XmlDamaged, type XmlReader } from '../xml/reader.ts';
import { decoded, parsed, timeOf } from './documents.ts';

/** Listing keys and versions. Both dialects use the same words for it. */
export function listingCalls(caller: Caller): Pick<ObjectClient, 'list' | 'listVersions'> {
  return {
    async list(request: ListRequest = {}, options?: CallOptions) {
      const query = {
        'list-type': 2,
        'encoding-type': 'url',
        prefix: filled(request.prefix),
        delimiter: filled(request.delimiter),
        'max-keys': request.maxKeys,
        'continuation-token': request.continuation,
        'start-after': request.continuation === undefined ? filled(request.startAfter) : undefined,
      };
      return parsed(caller, { method: 'GET', query }, { options, root: 'ListBucketResult', read: readPage });
    },
    async listVersions(request: ListVersionsRequest = {}, options?: CallOptions) {
      const query = {
        versions: '',
        'encoding-type': 'url',
        prefix: filled(request.prefix),
        delimiter: filled(request.delimiter),
        'max-keys': request.maxKeys,
        'key-marker': request.marker?.key,
        'version-id-marker': request.marker?.versionId,
      };
      return parsed(caller, { method: 'GET', query }, { options, root: 'ListVersionsResult', read: readVersions });
    },
  };
}

/** An empty prefix says nothing, and OSS signs an empty value otherwise than it is sent. */
function filled(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** A page, with the reader behind its root tag. */
export function readPage(reader: XmlReader): ListPage {
  const page: ListPage = { objects: [], commonPrefixes: [] };
  let encoded = false;
  let truncated = false;
  let token: string | undefined;
  while (reader.next() === 'open') {
    switch (reader.name) {
      case 'Contents':
        page.objects.push(readObject(reader));
        break;
      case 'CommonPrefixes':
        page.commonPrefixes.push(readPrefix(reader));
        break;
      case 'EncodingType':
        encoded = reader.text() === 'url';
        break;
      case 'IsTruncated':
        truncated = reader.text().trim() === 'true';
        break;
      case 'NextContinuationToken':
        token = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  if (encoded) {
    for (const object of page.objects) object.key = decoded(object.key);
    page.commonPrefixes = page.commonPrefixes.map(decoded);
  }
  if (!truncated) return page;
  // A page that says it goes on and not where would be read for ever, or taken for the last.
  if (token === undefined || token === '') throw new XmlDamaged('a page without the token of the next');
  return { ...page, continuation: token };
}

function readObject(reader: XmlReader): ListedObject {
  const object: ListedObject = { key: '', sizeBytes: 0, etag: '', lastModifiedMs: 0, storageClass: '' };
  while (reader.next() === 'open') if (!readFact(reader, object)) reader.skip();
  return object;
}

/** What objects and versions have in common. False: it is none of it. */
function readFact(reader: XmlReader, object: ListedObject): boolean {
  switch (reader.name) {
    case 'Key':
      object.key = reader.text();
      return true;
    case 'LastModified':
      object.lastModifiedMs = timeOf(reader.text());
      return true;
    case 'ETag':
      object.etag = bareEtag(reader.text());
      return true;
    case 'Size':
      object.sizeBytes = reader.number();
      return true;
    case 'StorageClass':
      object.storageClass = reader.text();
      return true;
    default:
      return false;
  }
}

export function readPrefix(reader: XmlReader): string {
  let prefix = '';
  while (reader.next() === 'open') {
    if (reader.name === 'Prefix') prefix = reader.text();
    else reader.skip();
  }
  return prefix;
}

function readVersions(reader: XmlReader): VersionPage {
  const page: VersionPage = { versions: [], commonPrefixes: [] };
  let encoded = false;
  let truncated = false;
  let key: string | undefined;
  let versionId = '';
  while (reader.next() === 'open') {
    switch (reader.name) {
      case 'Version':
      case 'DeleteMarker':
        page.versions.push(readVersion(reader, reader.name === 'DeleteMarker'));
        break;
      case 'CommonPrefixes':
        page.commonPrefixes.push(readPrefix(reader));
        break;
      case 'EncodingType':
        encoded = reader.text() === 'url';
        break;
      case 'IsTruncated':
        truncated = reader.text().trim() === 'true';
        break;
      case 'NextKeyMarker':
        key = reader.text();
        break;
      case 'NextVersionIdMarker':
        versionId = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  if (encoded) {
    for (const version of page.versions) version.key = decoded(version.key);
    page.commonPrefixes = page.commonPrefixes.map(decoded);
  }
  if (!truncated) return page;
  if (key === undefined || key === '') throw new XmlDamaged('a page without the marker of the next');
  const next = { key: encoded ? decoded(key) : key, ...(versionId === '' ? {} : { versionId }) };
  return { ...page, next };
}

function readVersion(reader: XmlReader, deleteMarker: boolean): ListedVersion {
  const version: ListedVersion = {
    ...{ key: '', sizeBytes: 0, etag: '', lastModifiedMs: 0, storageClass: '' },
    ...{ versionId: 'null', latest: false, deleteMarker },
  };
  while (reader.next() === 'open') {
    if (reader.name === 'VersionId') version.versionId = reader.text();
    else if (reader.name === 'IsLatest') version.latest = reader.text().trim() === 'true';
    else if (!readFact(reader, version)) reader.skip();
  }
  return version;
}
