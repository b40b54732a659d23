/**
 * Questions clients ask about features that are not there: answered truthfully, as S3 does for a bucket on which
 * nothing was configured. A feature that comes takes its row out of here and gets a file of its own.
 */
import { type Answer, type Operation, type OperationContext } from '../operation.ts';
import { S3Error } from '../s3-error.ts';
import { readOptionsOf } from './read.ts';
import { invalidRequest } from './refusals.ts';
import { ownerXml, xmlAnswer } from './xml.ts';

type Reply = (owner: string) => Answer;

interface Row {
  name: string;
  resource: 'bucket' | 'object';
  query: string;
  action: string;
  reply: Reply;
}

function missing(code: string, message: string): Reply {
  return () => {
    throw new S3Error(code, 404, message);
  };
}

function noLock(): Answer {
  throw invalidRequest('Bucket is missing Object Lock Configuration');
}

const xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"';

function accessList(owner: string): Answer {
  const grantee = ownerXml(owner, 'Grantee').replace('<Grantee>', `<Grantee ${xsi}>`);
  const grant = `<Grant>${grantee}<Permission>FULL_CONTROL</Permission></Grant>`;
  return xmlAnswer('AccessControlPolicy', `${ownerXml(owner)}<AccessControlList>${grant}</AccessControlList>`);
}

function document(root: string, content = ''): Reply {
  return () => xmlAnswer(root, content);
}

function bucketRow(name: string, query: string, action: string, reply: Reply): Row {
  return { name, resource: 'bucket', query, action: `s3:${action}`, reply };
}

function objectRow(name: string, query: string, reply: Reply): Row {
  return { name, resource: 'object', query, action: `s3:${name}`, reply };
}

const ownerEnforced = '<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>';
const noPolicy = missing('NoSuchBucketPolicy', 'The bucket policy does not exist');

const rows: readonly Row[] = [
  bucketRow('GetBucketAcl', 'acl', 'GetBucketAcl', accessList),
  bucketRow('GetBucketPolicy', 'policy', 'GetBucketPolicy', noPolicy),
  bucketRow('GetBucketPolicyStatus', 'policyStatus', 'GetBucketPolicyStatus', noPolicy),
  bucketRow('GetBucketTagging', 'tagging', 'GetBucketTagging', missing('NoSuchTagSet', 'The TagSet does not exist')),
  bucketRow(
    'GetBucketEncryption',
    'encryption',
    'GetEncryptionConfiguration',
    missing('ServerSideEncryptionConfigurationNotFoundError', 'The server side encryption configuration was not found'),
  ),
  bucketRow(
    'GetBucketLifecycleConfiguration',
    'lifecycle',
    'GetLifecycleConfiguration',
    missing('NoSuchLifecycleConfiguration', 'The lifecycle configuration does not exist'),
  ),
  bucketRow(
    'GetBucketCors',
    'cors',
    'GetBucketCORS',
    missing('NoSuchCORSConfiguration', 'The CORS configuration does not exist'),
  ),
  bucketRow(
    'GetObjectLockConfiguration',
    'object-lock',
    'GetBucketObjectLockConfiguration',
    missing('ObjectLockConfigurationNotFoundError', 'Object Lock configuration does not exist for this bucket'),
  ),
  bucketRow(
    'GetBucketReplication',
    'replication',
    'GetReplicationConfiguration',
    missing('ReplicationConfigurationNotFoundError', 'The replication configuration was not found'),
  ),
  bucketRow(
    'GetPublicAccessBlock',
    'publicAccessBlock',
    'GetBucketPublicAccessBlock',
    missing('NoSuchPublicAccessBlockConfiguration', 'The public access block configuration was not found'),
  ),
  bucketRow(
    'GetBucketWebsite',
    'website',
    'GetBucketWebsite',
    missing('NoSuchWebsiteConfiguration', 'The specified bucket does not have a website configuration'),
  ),
  // Lists of access are off for every bucket, which is what S3 calls BucketOwnerEnforced.
  bucketRow(
    'GetBucketOwnershipControls',
    'ownershipControls',
    'GetBucketOwnershipControls',
    document('OwnershipControls', ownerEnforced),
  ),
  bucketRow('GetBucketLogging', 'logging', 'GetBucketLogging', document('BucketLoggingStatus')),
  bucketRow(
    'GetBucketNotificationConfiguration',
    'notification',
    'GetBucketNotification',
    document('NotificationConfiguration'),
  ),
  bucketRow(
    'GetBucketAccelerateConfiguration',
    'accelerate',
    'GetAccelerateConfiguration',
    document('AccelerateConfiguration'),
  ),
  bucketRow(
    'GetBucketRequestPayment',
    'requestPayment',
    'GetBucketRequestPayment',
    document('RequestPaymentConfiguration', '<Payer>BucketOwner</Payer>'),
  ),
  objectRow('GetObjectAcl', 'acl', accessList),
  objectRow('GetObjectRetention', 'retention', noLock),
  objectRow('GetObjectLegalHold', 'legal-hold', noLock),
];

async function reply({ request, layer }: OperationContext, row: Row): Promise<Answer> {
  const { owner } = await layer.bucket(request.bucket);
  if (row.resource === 'bucket') return row.reply(owner);
  const { shownVersionId } = await layer.head(request.bucket, request.key, readOptionsOf(request));
  const answer = row.reply(owner);
  if (shownVersionId === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, 'x-amz-version-id': shownVersionId } };
}

export const fixedAnswers: readonly Operation[] = rows.map((row) => ({
  name: row.name,
  dialect: 's3',
  method: 'GET',
  resource: row.resource,
  query: [row.query],
  actions: [row.action],
  parameters: row.resource === 'object' ? ['versionId'] : [],
  handle: (context) => reply(context, row),
}));
