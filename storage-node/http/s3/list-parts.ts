import { type PartInfo, type PartListPage } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { checksumXml } from './checksums.ts';
import { isoTime } from './dates.ts';
import { pageSizeOf } from './paging.ts';
import { invalidArgument } from './refusals.ts';
import { escapeXml, optional, ownerXml, xmlAnswer } from './xml.ts';

export const listParts: Operation = {
  name: 'ListParts',
  dialect: 's3',
  method: 'GET',
  resource: 'object',
  query: ['uploadId'],
  actions: ['s3:ListMultipartUploadParts'],
  parameters: ['max-parts', 'part-number-marker'],
  async handle({ request, layer }) {
    const { bucket, key, query } = request;
    const uploadId = query.get('uploadId')!;
    const maxParts = pageSizeOf(query, 'max-parts');
    const afterPart = markerOf(query.get('part-number-marker'));
    const { owner } = await layer.bucket(bucket);
    const page: PartListPage =
      maxParts === 0
        ? { upload: await layer.upload(bucket, key, uploadId), parts: [], truncated: false, nextPartNumber: undefined }
        : await layer.listParts(bucket, key, uploadId, { afterPart, maxParts });
    const { upload } = page;
    return xmlAnswer(
      'ListPartsResult',
      `<Bucket>${bucket}</Bucket><Key>${escapeXml(key)}</Key><UploadId>${escapeXml(uploadId)}</UploadId>` +
        ownerXml(owner, 'Initiator') +
        ownerXml(owner) +
        `<StorageClass>${upload.storageClass}</StorageClass><PartNumberMarker>${afterPart}</PartNumberMarker>` +
        optional('NextPartNumberMarker', page.nextPartNumber === undefined ? undefined : String(page.nextPartNumber)) +
        `<MaxParts>${maxParts}</MaxParts><IsTruncated>${page.truncated}</IsTruncated>` +
        optional('ChecksumAlgorithm', upload.checksumAlgorithm) +
        optional('ChecksumType', upload.checksumType) +
        page.parts.map(partXml).join(''),
    );
  },
};

/** @throws S3Error InvalidArgument for what is no whole number. */
export function markerOf(text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const message = 'Provided part-number-marker not an integer or within integer range';
  throw invalidArgument(message, 'part-number-marker', text);
}

function partXml(part: PartInfo): string {
  return (
    `<Part><PartNumber>${part.number}</PartNumber><LastModified>${isoTime(part.lastModifiedMs)}</LastModified>` +
    `<ETag>&quot;${part.etag}&quot;</ETag><Size>${part.sizeBytes}</Size>${checksumXml(part.checksum, false)}</Part>`
  );
}
