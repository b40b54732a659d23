import { type Operation } from '../operation.ts';
import { escapeXml } from '../s3/xml.ts';

const largestDocument = 64 * 1024;

/** OSS's body names a storage class and redundancy, which there is one of each here. */
export const putBucket: Operation = {
  name: 'PutBucket',
  dialect: 'oss',
  method: 'PUT',
  resource: 'bucket',
  query: [],
  actions: ['oss:PutBucket'],
  parameters: [],
  async handle({ request, payload, layer, settings, principal }) {
    await payload.bytes(largestDocument);
    const known = await layer.bucket(request.bucket).catch(() => undefined);
    if (known === undefined || known.owner !== principal.owner) {
      await layer.createBucket({ name: request.bucket, owner: principal.owner, region: settings.region });
    }
    return { status: 200, headers: { location: `/${request.bucket}` } };
  },
};

export const getBucketInfo: Operation = {
  name: 'GetBucketInfo',
  dialect: 'oss',
  method: 'GET',
  resource: 'bucket',
  query: ['bucketInfo'],
  actions: ['oss:GetBucketInfo'],
  parameters: ['bucketInfo'],
  async handle({ request, layer }) {
    const bucket = await layer.bucket(request.bucket);
    const owner = escapeXml(bucket.owner);
    const versioning = bucket.versioning === 'Off' ? '' : `<Versioning>${bucket.versioning}</Versioning>`;
    const facts = [
      `<Name>${escapeXml(bucket.name)}</Name>`,
      `<Location>${escapeXml(bucket.region)}</Location>`,
      `<CreationDate>${new Date(bucket.createdAtMs).toISOString()}</CreationDate>`,
      '<StorageClass>Standard</StorageClass><DataRedundancyType>LRS</DataRedundancyType>',
      `<Owner><ID>${owner}</ID><DisplayName>${owner}</DisplayName></Owner>`,
      '<AccessControlList><Grant>private</Grant></AccessControlList>',
      versioning,
    ];
    return {
      status: 200,
      headers: { 'content-type': 'application/xml' },
      body: `<?xml version="1.0" encoding="UTF-8"?>\n<BucketInfo><Bucket>${facts.join('')}</Bucket></BucketInfo>`,
    };
  },
};
