import { StorageError } from '../../errors.ts';
import { type Operation } from '../operation.ts';
import { S3Error } from '../s3-error.ts';
import { checkBucketName } from './bucket-name.ts';
import { headerNotImplemented, malformedXml } from './refusals.ts';
import { parseXml } from './xml.ts';

const maxDocumentBytes = 64 * 1024;

export const createBucket: Operation = {
  name: 'CreateBucket',
  dialect: 's3',
  method: 'PUT',
  resource: 'bucket',
  query: [],
  actions: ['s3:CreateBucket'],
  parameters: [],
  async handle({ request, payload, layer, principal, settings }) {
    const { bucket: name } = request;
    checkBucketName(name);
    refuseHeaders(request.headers);
    const { region } = settings;
    checkLocation(locationOf(await payload.bytes(maxDocumentBytes)), region);
    try {
      await layer.createBucket({ name, owner: principal.owner, region });
    } catch (error) {
      // In its first region S3 answers the owner's second creation like the first; clients count on it.
      const again = error instanceof StorageError && error.code === 'BucketAlreadyOwnedByYou';
      if (!again || region !== 'us-east-1') throw error;
    }
    return { status: 200, headers: { location: `/${name}` } };
  },
};

/** With BucketOwnerEnforced a bucket has no access lists; locks come with a feature that is not there. */
function refuseHeaders(headers: Readonly<Record<string, string>>): void {
  for (const name in headers) {
    if (name.startsWith('x-amz-grant-') || (name === 'x-amz-acl' && headers[name] !== 'private')) {
      const message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
      throw new S3Error('InvalidBucketAclWithObjectOwnership', 400, message);
    }
  }
  if (headers['x-amz-bucket-object-lock-enabled']?.toLowerCase() === 'true') {
    throw headerNotImplemented('x-amz-bucket-object-lock-enabled');
  }
  if ((headers['x-amz-object-ownership'] ?? 'BucketOwnerEnforced') !== 'BucketOwnerEnforced') {
    throw headerNotImplemented('x-amz-object-ownership');
  }
}

/** The region a client wants; undefined where it has no wish. Of other settings only an empty list of tags is known. */
function locationOf(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return undefined;
  let location: string | undefined;
  for (const child of parseXml(bytes, 'CreateBucketConfiguration').children) {
    const emptyTags = child.name === 'Tags' && child.children.length === 0;
    if (child.name === 'LocationConstraint' && child.children.length === 0) location = child.text.trim();
    else if (!emptyTags) throw malformedXml();
  }
  return location === '' ? undefined : location;
}

function checkLocation(location: string | undefined, region: string): void {
  if (location === undefined || location === region || (location === 'EU' && region === 'eu-west-1')) return;
  throw new S3Error('InvalidLocationConstraint', 400, 'The specified location-constraint is not valid', {
    fields: { LocationConstraint: location },
  });
}
