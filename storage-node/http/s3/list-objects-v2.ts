import { type ListPage } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { addPage, pageBytes } from './contents-xml.ts';
import { continuationToken, keyWriterOf, listingHead, pageSizeOf, parseContinuationToken } from './paging.ts';
import { invalidArgument } from './refusals.ts';
import { optional, ownerXml } from './xml.ts';
import { xmlRowsAnswer } from './xml-rows.ts';

export const listObjectsV2: Operation = {
  name: 'ListObjectsV2',
  dialect: 's3',
  method: 'GET',
  resource: 'bucket',
  query: ['list-type'],
  actions: ['s3:ListBucket'],
  parameters: ['continuation-token', 'delimiter', 'encoding-type', 'fetch-owner', 'max-keys', 'prefix', 'start-after'],
  async handle({ request, layer }) {
    const { bucket, query } = request;
    if (query.get('list-type') !== '2') {
      throw invalidArgument('Invalid List Type specified in Request', 'list-type', query.get('list-type') ?? '');
    }
    const write = keyWriterOf(query);
    const maxKeys = pageSizeOf(query, 'max-keys');
    const token = query.get('continuation-token');
    const startAfter = query.get('start-after');
    const after = token === undefined || token === '' ? (startAfter ?? '') : parseContinuationToken(token);
    const { owner } = await layer.bucket(bucket);
    const page = await listPage(layer, bucket, { query, after, maxKeys });
    const next = page.truncated && page.next !== undefined ? continuationToken(page.next) : undefined;
    const head =
      listingHead(query, { bucket, write }) +
      optional('ContinuationToken', token) +
      (startAfter === undefined ? '' : `<StartAfter>${write(startAfter)}</StartAfter>`) +
      optional('NextContinuationToken', next) +
      `<KeyCount>${page.objects.length + page.commonPrefixes.length}</KeyCount><MaxKeys>${maxKeys}</MaxKeys>` +
      `<IsTruncated>${page.truncated}</IsTruncated>`;
    const shownOwner = query.get('fetch-owner') === 'true' ? ownerXml(owner) : '';
    return xmlRowsAnswer('ListBucketResult', pageBytes(page), (out) => {
      out.add(head);
      addPage(out, page, { write, owner: shownOwner });
    });
  },
};

/** One page of keys. A page of none is asked for by some to see whether a bucket is there. */
export async function listPage(
  layer: Parameters<Operation['handle']>[0]['layer'],
  bucket: string,
  input: { query: ReadonlyMap<string, string>; after: string; maxKeys: number },
): Promise<ListPage> {
  if (input.maxKeys === 0) return { objects: [], commonPrefixes: [], truncated: false, next: undefined };
  return layer.list(bucket, {
    prefix: input.query.get('prefix') ?? '',
    delimiter: input.query.get('delimiter') ?? '',
    after: input.after,
    maxKeys: input.maxKeys,
  });
}
