import { type UploadInfo, type UploadListPage } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { isoTime } from './dates.ts';
import { addPrefixes, type KeyWriter, keyWriterOf, pageSizeOf } from './paging.ts';
import { escapeXml, optional, ownerXml } from './xml.ts';
import { xmlRowsAnswer } from './xml-rows.ts';

const noUploads: UploadListPage = {
  uploads: [],
  commonPrefixes: [],
  truncated: false,
  nextKeyMarker: undefined,
  nextUploadIdMarker: undefined,
};

export const listMultipartUploads: Operation = {
  name: 'ListMultipartUploads',
  dialect: 's3',
  method: 'GET',
  resource: 'bucket',
  query: ['uploads'],
  actions: ['s3:ListBucketMultipartUploads'],
  parameters: ['delimiter', 'encoding-type', 'key-marker', 'max-uploads', 'prefix', 'upload-id-marker'],
  async handle({ request, layer }) {
    const { bucket, query } = request;
    const write = keyWriterOf(query);
    const maxUploads = pageSizeOf(query, 'max-uploads');
    const keyMarker = query.get('key-marker') ?? '';
    // S3 ignores the second marker where the first is missing.
    const uploadIdMarker = keyMarker === '' ? '' : (query.get('upload-id-marker') ?? '');
    const [prefix, delimiter] = [query.get('prefix') ?? '', query.get('delimiter') ?? ''];
    const { owner } = await layer.bucket(bucket);
    const page =
      maxUploads === 0
        ? noUploads
        : await layer.listUploads(bucket, { prefix, delimiter, keyMarker, uploadIdMarker, maxUploads });
    const owners = ownerXml(owner, 'Initiator') + ownerXml(owner);
    const head =
      `<Bucket>${bucket}</Bucket><KeyMarker>${write(keyMarker)}</KeyMarker>` +
      `<UploadIdMarker>${escapeXml(uploadIdMarker)}</UploadIdMarker>` +
      (page.nextKeyMarker === undefined ? '' : `<NextKeyMarker>${write(page.nextKeyMarker)}</NextKeyMarker>`) +
      optional('NextUploadIdMarker', page.nextUploadIdMarker) +
      `<Prefix>${write(prefix)}</Prefix>` +
      (delimiter === '' ? '' : `<Delimiter>${write(delimiter)}</Delimiter>`) +
      (write === escapeXml ? '' : '<EncodingType>url</EncodingType>') +
      `<MaxUploads>${maxUploads}</MaxUploads><IsTruncated>${page.truncated}</IsTruncated>`;
    return xmlRowsAnswer('ListMultipartUploadsResult', page.uploads.length * rowBytes, (out) => {
      out.add(head);
      for (const upload of page.uploads) out.add(uploadXml(upload, { write, owners }));
      addPrefixes(out, page.commonPrefixes, write);
    });
  },
};

/** About what a row takes. */
const rowBytes = 600;

function uploadXml(upload: UploadInfo, { write, owners }: { write: KeyWriter; owners: string }): string {
  return (
    `<Upload><Key>${write(upload.key)}</Key><UploadId>${upload.uploadId}</UploadId>${owners}` +
    `<StorageClass>${upload.storageClass}</StorageClass><Initiated>${isoTime(upload.initiatedAtMs)}</Initiated>` +
    `${optional('ChecksumAlgorithm', upload.checksumAlgorithm)}${optional('ChecksumType', upload.checksumType)}</Upload>`
  );
}
