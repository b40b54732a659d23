import { bareEtag } from '../dialect/etag.ts';
import { type Caller } from '../http/caller.ts';
import {
  type CallOptions,
  type ListUploadsRequest,
  type ObjectClient,
  type PartPage,
  type UploadPage,
  type UploadRef,
} from '../types.ts';
import { type XmlReader } from '../xml/reader.ts';
import { decoded, fieldsOf, parsed, timeOf } from './documents.ts';
import { checksumElements, checksumsIn } from './multipart.ts';

/** Listing uploads under way and their parts. */
export function uploadCalls(caller: Caller): Pick<ObjectClient, 'listParts' | 'listUploads'> {
  return {
    listParts(
      { key, uploadId }: UploadRef,
      page: { afterPart?: number; maxParts?: number } = {},
      options?: CallOptions,
    ): Promise<PartPage> {
      const query = { uploadId, 'max-parts': page.maxParts, 'part-number-marker': page.afterPart };
      return parsed(caller, { method: 'GET', key, query }, { options, root: 'ListPartsResult', read: readParts });
    },
    listUploads(request: ListUploadsRequest = {}, options?: CallOptions): Promise<UploadPage> {
      const query = {
        uploads: '',
        'encoding-type': 'url',
        prefix: request.prefix === '' ? undefined : request.prefix,
        'max-uploads': request.maxUploads,
        'key-marker': request.marker?.key,
        'upload-id-marker': request.marker?.uploadId,
      };
      return parsed(
        caller,
        { method: 'GET', query },
        { options, root: 'ListMultipartUploadsResult', read: readUploads },
      );
    },
  };
}

function readParts(reader: XmlReader): PartPage {
  const page: PartPage = { parts: [] };
  let truncated = false;
  let next = 0;
  while (reader.next() === 'open') {
    if (reader.name === 'Part') page.parts.push(readPart(reader));
    else if (reader.name === 'IsTruncated') truncated = reader.text().trim() === 'true';
    else if (reader.name === 'NextPartNumberMarker') next = Number(reader.text());
    else reader.skip();
  }
  return truncated ? { ...page, next } : page;
}

function readPart(reader: XmlReader): PartPage['parts'][number] {
  const fields = fieldsOf(reader, ['PartNumber', 'ETag', 'Size', 'LastModified', 'HashCrc64ecma', ...checksumElements]);
  return {
    partNumber: Number(fields.get('PartNumber')),
    etag: bareEtag(fields.get('ETag')),
    sizeBytes: Number(fields.get('Size')),
    lastModifiedMs: timeOf(fields.get('LastModified') ?? ''),
    checksums: checksumsIn(fields),
  };
}

function readUploads(reader: XmlReader): UploadPage {
  const page: UploadPage = { uploads: [] };
  const tops = new Map<string, string>();
  while (reader.next() === 'open') {
    const { name } = reader;
    if (name === 'Upload') {
      const fields = fieldsOf(reader, ['Key', 'UploadId', 'Initiated', 'StorageClass']);
      page.uploads.push({
        key: fields.get('Key') ?? '',
        uploadId: fields.get('UploadId') ?? '',
        initiatedAtMs: timeOf(fields.get('Initiated') ?? ''),
        storageClass: fields.get('StorageClass') ?? '',
      });
    } else if (['EncodingType', 'IsTruncated', 'NextKeyMarker', 'NextUploadIdMarker'].includes(name)) {
      tops.set(name, reader.text());
    } else reader.skip();
  }
  const plain = tops.get('EncodingType') === 'url' ? decoded : (text: string) => text;
  for (const upload of page.uploads) upload.key = plain(upload.key);
  if (tops.get('IsTruncated')?.trim() !== 'true') return page;
  const uploadId = tops.get('NextUploadIdMarker') ?? '';
  return { ...page, next: { key: plain(tops.get('NextKeyMarker') ?? ''), ...(uploadId === '' ? {} : { uploadId }) } };
}
