import { type ObjectInfo } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { checksumXml } from './checksums.ts';
import { httpDate } from './dates.ts';
import { markerOf } from './list-parts.ts';
import { pageSizeOf } from './paging.ts';
import { readOptionsOf } from './read.ts';
import { invalidArgument, invalidRequest } from './refusals.ts';
import { xmlAnswer } from './xml.ts';

const known = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const;
type Attribute = (typeof known)[number];

export const getObjectAttributes: Operation = {
  name: 'GetObjectAttributes',
  dialect: 's3',
  method: 'GET',
  resource: 'object',
  query: ['attributes'],
  actions: ['s3:GetObject', 's3:GetObjectAttributes'],
  parameters: ['versionId'],
  async handle({ request, layer }) {
    const wanted = wantedAttributes(request.headers['x-amz-object-attributes']);
    const page = partPageOf(request.headers);
    const info = await layer.head(request.bucket, request.key, readOptionsOf(request));
    const headers: Record<string, string> = { 'last-modified': httpDate(info.lastModifiedMs) };
    if (info.shownVersionId !== undefined) headers['x-amz-version-id'] = info.shownVersionId;
    const content = known.map((name) => (wanted.has(name) ? attributeXml(info, { name, page }) : '')).join('');
    return xmlAnswer('GetObjectAttributesResponse', content, headers);
  },
};

function wantedAttributes(header: string | undefined): Set<Attribute> {
  const names = (header ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) {
    throw invalidRequest(
      'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty',
    );
  }
  return new Set(
    names.map((name) => {
      const attribute = known.find((candidate) => candidate === name);
      if (attribute !== undefined) return attribute;
      throw invalidArgument('Invalid attribute name specified.', 'x-amz-object-attributes', name);
    }),
  );
}

interface PartPage {
  after: number;
  count: number;
}

function partPageOf(headers: Readonly<Record<string, string>>): PartPage {
  const asQuery = new Map([['max-parts', headers['x-amz-max-parts'] ?? '']]);
  return { after: markerOf(headers['x-amz-part-number-marker']), count: pageSizeOf(asQuery, 'max-parts') };
}

function attributeXml(info: ObjectInfo, { name, page }: { name: Attribute; page: PartPage }): string {
  switch (name) {
    case 'ETag':
      return `<ETag>${info.etag}</ETag>`;
    case 'Checksum':
      return info.checksum === undefined ? '' : `<Checksum>${checksumXml(info.checksum, true)}</Checksum>`;
    case 'ObjectParts':
      return info.multipart ? partsXml(info, page) : '';
    case 'StorageClass':
      return `<StorageClass>${info.storageClass}</StorageClass>`;
    case 'ObjectSize':
      return `<ObjectSize>${info.sizeBytes}</ObjectSize>`;
  }
}

function partsXml(info: ObjectInfo, page: PartPage): string {
  const count = `<PartsCount>${info.parts.length}</PartsCount>`;
  // S3 lists single parts only where they have checksums of their own.
  if (info.parts.every(({ checksum }) => checksum === undefined)) return `<ObjectParts>${count}</ObjectParts>`;
  const rest = info.parts.filter(({ number }) => number > page.after);
  const shown = rest.slice(0, page.count);
  const rows = shown.map(
    ({ number, sizeBytes, checksum }) =>
      `<Part><PartNumber>${number}</PartNumber><Size>${sizeBytes}</Size>${checksumXml(checksum, false)}</Part>`,
  );
  const last = shown.at(-1)?.number ?? page.after;
  return (
    `<ObjectParts>${count}<PartNumberMarker>${page.after}</PartNumberMarker>` +
    `<NextPartNumberMarker>${last}</NextPartNumberMarker><MaxParts>${page.count}</MaxParts>` +
    `<IsTruncated>${rest.length > shown.length}</IsTruncated>${rows.join('')}</ObjectParts>`
  );
}
