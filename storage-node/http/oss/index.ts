import { type Operation } from '../operation.ts';
import { s3Operations } from '../s3/index.ts';
import { getBucketInfo, putBucket } from './bucket.ts';
import { refusedInOss, speakOss, toOss, toS3 } from './translate.ts';

/** What means the same in both dialects; S3's name, and OSS's where it differs. */
const shared: Readonly<Record<string, string>> = {
  ListBuckets: 'GetService',
  HeadBucket: 'HeadBucket',
  DeleteBucket: 'DeleteBucket',
  GetBucketLocation: 'GetBucketLocation',
  GetBucketVersioning: 'GetBucketVersioning',
  PutBucketVersioning: 'PutBucketVersioning',
  ListObjects: 'GetBucket',
  ListObjectsV2: 'GetBucketV2',
  ListObjectVersions: 'ListObjectVersions',
  ListMultipartUploads: 'ListMultipartUploads',
  DeleteObjects: 'DeleteMultipleObjects',
  PutObject: 'PutObject',
  GetObject: 'GetObject',
  HeadObject: 'HeadObject',
  DeleteObject: 'DeleteObject',
  CopyObject: 'CopyObject',
  GetObjectTagging: 'GetObjectTagging',
  PutObjectTagging: 'PutObjectTagging',
  DeleteObjectTagging: 'DeleteObjectTagging',
  CreateMultipartUpload: 'InitiateMultipartUpload',
  UploadPart: 'UploadPart',
  UploadPartCopy: 'UploadPartCopy',
  CompleteMultipartUpload: 'CompleteMultipartUpload',
  AbortMultipartUpload: 'AbortMultipartUpload',
  ListParts: 'ListParts',
};

function inOss(operation: Operation, name: string): Operation {
  const { header, ...others } = operation;
  return {
    ...others,
    name,
    dialect: 'oss',
    ...(header === undefined ? {} : { header: header.replace(/^x-amz-/, 'x-oss-') }),
    actions: [`oss:${name}`],
    async handle(context) {
      speakOss(context.raw.response, context.request.requestId);
      try {
        return toOss(await operation.handle({ ...context, request: toS3(context.request) }));
      } catch (error) {
        throw refusedInOss(error, context.request);
      }
    },
  };
}

/** The operations of the OSS dialect, for the same buckets and objects. */
export const ossOperations: Operation[] = [
  putBucket,
  getBucketInfo,
  ...s3Operations.flatMap((operation) => {
    const name = shared[operation.name];
    return name === undefined ? [] : [inOss(operation, name)];
  }),
];
