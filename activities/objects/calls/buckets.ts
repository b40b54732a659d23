import { type BucketInfo, type Versioning } from '../bucket-types.ts';
import { type Dialect } from '../dialect/dialect.ts';
import { ObjectStoreError } from '../failure.ts';
import { type Caller } from '../http/caller.ts';
import { type ObjectPlace } from '../place.ts';
import { type CallOptions, type ObjectClient } from '../types.ts';
import { type XmlReader } from '../xml/reader.ts';
import { element } from '../xml/writer.ts';
import { fieldsOf, parsed, timeOf } from './documents.ts';
import { documentHeaders } from './tags.ts';

type Buckets = Pick<
  ObjectClient,
  'createBucket' | 'headBucket' | 'deleteBucket' | 'getVersioning' | 'setVersioning' | 'listBuckets' | 'restore'
>;

export interface BucketDeps {
  caller: Caller;
  /** Of the account, where the bucket is in the host's name. */
  account: () => Caller;
  dialect: Dialect;
  place: ObjectPlace;
  list: ObjectClient['list'];
}

export function bucketCalls({ caller, account, dialect, place, list }: BucketDeps): Buckets {
  return {
    createBucket: (options = {}, call) => create({ caller, dialect, place }, options.lock === true, call),
    async headBucket(call) {
      try {
        const { headers } = await caller.answered({ method: 'HEAD' }, call);
        const region = headers[`${dialect.prefix}bucket-region`];
        return region === undefined ? {} : { region };
      } catch (error) {
        // A refused HEAD has no words: a listing of one key has them.
        if (!(error instanceof ObjectStoreError) || error.serverCode !== '' || error.status === 404) throw error;
        await list({ maxKeys: 1 }, call);
        throw error;
      }
    },
    async deleteBucket(call) {
      await caller.answered({ method: 'DELETE' }, call);
    },
    getVersioning: (options) =>
      parsed(
        caller,
        { method: 'GET', query: { versioning: '' } },
        {
          options,
          root: 'VersioningConfiguration',
          read: (reader) => versioningOf(fieldsOf(reader, ['Status']).get('Status')),
        },
      ),
    async setVersioning(state, options) {
      const status = element('Status', state === 'enabled' ? 'Enabled' : 'Suspended');
      const body = Buffer.from(`<VersioningConfiguration${dialect.xmlNamespace}>${status}</VersioningConfiguration>`);
      const headers = documentHeaders(body);
      await caller.answered({ method: 'PUT', query: { versioning: '' }, headers, body }, options);
    },
    listBuckets: (call) => everyBucket(account(), call),
    restore: (key, options, call) => restore(caller, { dialect, key, options }, call),
  };
}

function versioningOf(status: string | undefined): Versioning {
  return status === 'Enabled' ? 'enabled' : status === 'Suspended' ? 'suspended' : 'off';
}

async function create(
  { caller, dialect, place }: Pick<BucketDeps, 'caller' | 'dialect' | 'place'>,
  lock: boolean,
  call: CallOptions | undefined,
): Promise<void> {
  if (lock && !dialect.supports.objectLock) {
    throw new ObjectStoreError('OBJECT_STORE_REFUSED', 'oss has no object lock: set a lock of the bucket', {});
  }
  // In its first region S3 takes no name of a region, and OSS reads it off the endpoint.
  const named = dialect.name === 's3' && place.region !== 'us-east-1';
  const root = 'CreateBucketConfiguration';
  const xml = `<${root}${dialect.xmlNamespace}>${element('LocationConstraint', place.region)}</${root}>`;
  const body = Buffer.from(named ? xml : '');
  const headers: Record<string, string> = named ? { 'content-type': 'application/xml' } : {};
  if (lock) headers['x-amz-bucket-object-lock-enabled'] = 'true';
  try {
    await caller.answered({ method: 'PUT', headers, body }, call);
  } catch (error) {
    if (!(error instanceof ObjectStoreError) || error.serverCode !== 'BucketAlreadyOwnedByYou') throw error;
  }
}

async function everyBucket(caller: Caller, options: CallOptions | undefined): Promise<BucketInfo[]> {
  const buckets: BucketInfo[] = [];
  let marker: Record<string, string | undefined> = {};
  for (;;) {
    const page = await parsed(
      caller,
      { method: 'GET', query: marker },
      {
        options,
        root: 'ListAllMyBucketsResult',
        read: readBuckets,
      },
    );
    buckets.push(...page.buckets);
    if (page.next === undefined) return buckets;
    marker = page.next;
  }
}

function readBuckets(reader: XmlReader): { buckets: BucketInfo[]; next: Record<string, string> | undefined } {
  const buckets: BucketInfo[] = [];
  const tops = new Map<string, string>();
  while (reader.next() === 'open') {
    const { name } = reader;
    if (name === 'Buckets') while (reader.next() === 'open') buckets.push(readBucket(reader));
    else if (['ContinuationToken', 'NextMarker', 'IsTruncated'].includes(name)) tops.set(name, reader.text());
    else reader.skip();
  }
  const token = tops.get('ContinuationToken') ?? '';
  const next = tops.get('NextMarker') ?? '';
  if (tops.get('IsTruncated')?.trim() === 'true' && next !== '') return { buckets, next: { marker: next } };
  return { buckets, next: token === '' ? undefined : { 'continuation-token': token } };
}

function readBucket(reader: XmlReader): BucketInfo {
  const fields = fieldsOf(reader, ['Name', 'CreationDate', 'BucketRegion', 'Location']);
  const region = fields.get('BucketRegion') ?? fields.get('Location')?.replace(/^oss-/, '');
  return {
    name: fields.get('Name') ?? '',
    createdAtMs: timeOf(fields.get('CreationDate') ?? ''),
    ...(region === undefined ? {} : { region }),
  };
}

async function restore(
  caller: Caller,
  { dialect, key, options }: { dialect: Dialect; key: string; options: Parameters<ObjectClient['restore']>[1] },
  call: CallOptions | undefined,
): Promise<void> {
  const { days, tier, versionId } = options;
  const job = dialect.name === 's3' ? 'GlacierJobParameters' : 'JobParameters';
  const how = tier === undefined ? '' : `<${job}>${element('Tier', tier)}</${job}>`;
  const body = Buffer.from(`<RestoreRequest${dialect.xmlNamespace}>${element('Days', days)}${how}</RestoreRequest>`);
  const headers = documentHeaders(body);
  try {
    await caller.answered({ method: 'POST', key, query: { restore: '', versionId }, headers, body }, call);
  } catch (error) {
    if (!(error instanceof ObjectStoreError) || error.serverCode !== 'RestoreAlreadyInProgress') throw error;
  }
}
