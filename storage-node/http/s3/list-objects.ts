import { type Operation } from '../operation.ts';
import { addPage, pageBytes } from './contents-xml.ts';
import { listPage } from './list-objects-v2.ts';
import { keyWriterOf, listingHead, pageSizeOf } from './paging.ts';
import { ownerXml } from './xml.ts';
import { xmlRowsAnswer } from './xml-rows.ts';

/** Version 1, which older clients still send. */
export const listObjects: Operation = {
  name: 'ListObjects',
  dialect: 's3',
  method: 'GET',
  resource: 'bucket',
  query: [],
  actions: ['s3:ListBucket'],
  parameters: ['delimiter', 'encoding-type', 'marker', 'max-keys', 'prefix'],
  async handle({ request, layer }) {
    const { bucket, query } = request;
    const write = keyWriterOf(query);
    const maxKeys = pageSizeOf(query, 'max-keys');
    const marker = query.get('marker') ?? '';
    const { owner } = await layer.bucket(bucket);
    const page = await listPage(layer, bucket, { query, after: marker, maxKeys });
    // Without a delimiter the last key is the marker, and S3 leaves it to the client to take it.
    const withNext = page.truncated && page.next !== undefined && (query.get('delimiter') ?? '') !== '';
    const head =
      listingHead(query, { bucket, write }) +
      `<Marker>${write(marker)}</Marker>` +
      (withNext ? `<NextMarker>${write(page.next!)}</NextMarker>` : '') +
      `<MaxKeys>${maxKeys}</MaxKeys><IsTruncated>${page.truncated}</IsTruncated>`;
    return xmlRowsAnswer('ListBucketResult', pageBytes(page), (out) => {
      out.add(head);
      addPage(out, page, { write, owner: ownerXml(owner) });
    });
  },
};
