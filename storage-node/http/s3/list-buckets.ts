import { type Bucket } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { isoTime } from './dates.ts';
import { continuationToken, parseContinuationToken } from './paging.ts';
import { invalidArgument } from './refusals.ts';
import { optional, ownerXml, xmlAnswer } from './xml.ts';

/** S3's limit for a page of buckets; without `max-buckets` all are listed. */
const maxPage = 10_000;

export const listBuckets: Operation = {
  name: 'ListBuckets',
  dialect: 's3',
  method: 'GET',
  resource: 'service',
  query: [],
  actions: ['s3:ListAllMyBuckets'],
  parameters: ['bucket-region', 'continuation-token', 'max-buckets', 'prefix'],
  async handle({ request, layer, principal }) {
    const { query } = request;
    const prefix = query.get('prefix');
    const token = query.get('continuation-token') ?? '';
    const after = token === '' ? '' : parseContinuationToken(token);
    const region = query.get('bucket-region');
    const count = pageSizeOf(query.get('max-buckets'));
    const all = await layer.listBuckets();
    const matching = all
      .filter(({ name }) => name > after && name.startsWith(prefix ?? ''))
      .filter((bucket) => region === undefined || bucket.region === region)
      .toSorted((one, other) => (one.name < other.name ? -1 : 1));
    const page = matching.slice(0, count);
    const next = matching.length > page.length ? continuationToken(page.at(-1)!.name) : undefined;
    const rows = page.map(bucketXml).join('');
    return xmlAnswer(
      'ListAllMyBucketsResult',
      `${ownerXml(principal.owner)}<Buckets>${rows}</Buckets>${optional('ContinuationToken', next)}${optional('Prefix', prefix)}`,
    );
  },
};

function bucketXml({ name, createdAtMs, region }: Bucket): string {
  const created = `<CreationDate>${isoTime(createdAtMs)}</CreationDate>`;
  return `<Bucket><Name>${name}</Name>${created}<BucketRegion>${region}</BucketRegion></Bucket>`;
}

function pageSizeOf(text: string | undefined): number {
  if (text === undefined) return Infinity;
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= maxPage) return count;
  const message = `Argument max-buckets must be an integer between 1 and ${maxPage}`;
  throw invalidArgument(message, 'max-buckets', text);
}
