import { type ObjectMetadata, type StoredHeader } from '../../object/model.ts';
import { S3Error } from '../s3-error.ts';
import { headerNotImplemented, invalidRequest } from './refusals.ts';

type Headers = Readonly<Record<string, string>>;

const userPrefix = 'x-amz-meta-';
/** S3: names and values of user metadata together, bytes. */
const maxUserBytes = 2048;
const storedHeaders: readonly StoredHeader[] = [
  'cache-control',
  'content-disposition',
  'content-language',
  'content-type',
  'expires',
];
/** What S3 answers for an object that was stored without a type. */
const defaultContentType = 'binary/octet-stream';

/**
 * What a client wants stored with an object it writes.
 * @throws S3Error MetadataTooLarge; refusals of headers that ask for what is not there, see `refuseForeignHeaders`.
 */
export function metadataOf(headers: Headers): ObjectMetadata {
  refuseForeignHeaders(headers);
  const metadata: ObjectMetadata = { headers: {}, user: {} };
  for (const name of storedHeaders) {
    const value = headers[name];
    if (value !== undefined && value !== '') metadata.headers[name] = value;
  }
  metadata.headers['content-type'] ??= defaultContentType;
  const encoding = withoutFraming(headers['content-encoding']);
  if (encoding !== '') metadata.headers['content-encoding'] = encoding;
  let userBytes = 0;
  for (const name in headers) {
    if (!name.startsWith(userPrefix)) continue;
    const key = name.slice(userPrefix.length);
    metadata.user[key] = headers[name]!;
    userBytes += key.length + headers[name]!.length;
  }
  if (userBytes > maxUserBytes) throw metadataTooLarge(userBytes);
  return metadata;
}

/** `aws-chunked` is how the body travelled, not what it is. */
function withoutFraming(encoding: string | undefined): string {
  if (encoding === undefined) return '';
  if (!/aws-chunked/i.test(encoding)) return encoding;
  return encoding
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '' && token.toLowerCase() !== 'aws-chunked')
    .join(',');
}

function metadataTooLarge(bytes: number): S3Error {
  const message = 'Your metadata headers exceed the maximum allowed metadata size';
  const fields = { Size: String(bytes), MaxSizeAllowed: String(maxUserBytes) };
  return new S3Error('MetadataTooLarge', 400, message, { fields });
}

const storageClasses = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
]);

/**
 * The class a client names; undefined where it names none. All are kept alike and can be read at once; those that
 * would have to be restored first are refused.
 * @throws S3Error InvalidStorageClass.
 */
export function storageClassOf(headers: Headers): string | undefined {
  const storageClass = headers['x-amz-storage-class'];
  if (storageClass === undefined || storageClasses.has(storageClass)) return storageClass;
  const fields = { StorageClassRequested: storageClass };
  throw new S3Error('InvalidStorageClass', 400, 'The storage class you specified is not valid', { fields });
}

/** Canned lists that say nothing beyond what BucketOwnerEnforced gives anyway. */
const ownersLists = new Set(['private', 'bucket-owner-full-control']);
const notThere = [
  'x-amz-server-side-encryption',
  'x-amz-website-redirect-location',
  'x-amz-write-offset-bytes',
] as const;

/**
 * Refuses headers on a write that ask for access lists, locks, encryption: nobody may believe that they took effect.
 * @throws S3Error AccessControlListNotSupported, InvalidRequest, NotImplemented.
 */
export function refuseForeignHeaders(headers: Headers): void {
  for (const name in headers) {
    if (!name.startsWith('x-amz-') || name.startsWith(userPrefix)) continue;
    if (name.startsWith('x-amz-grant-') || (name === 'x-amz-acl' && !ownersLists.has(headers[name]!))) {
      throw new S3Error('AccessControlListNotSupported', 400, 'The bucket does not allow ACLs');
    }
    if (name.startsWith('x-amz-object-lock-')) throw invalidRequest('Bucket is missing Object Lock Configuration');
    if (headers[name] !== '' && notThere.some((refused) => name.startsWith(refused))) throw headerNotImplemented(name);
  }
}

/** @throws S3Error InvalidRequest when a client gives a key for an object that is not encrypted. */
export function refuseCustomerKey(headers: Headers): void {
  if (headers['x-amz-server-side-encryption-customer-algorithm'] === undefined) return;
  throw invalidRequest('The encryption parameters are not applicable to this object.');
}
