import { type Row } from './row.ts';

/** Uploads in parts: begun, filled, ended, given up. */
export const uploadRows: readonly Row[] = [
  {
    name: 'an upload begins',
    is: 'InitiateMultipartUpload',
    ask: { method: 'POST', path: '/photos/large', query: { uploads: '' } },
    status: 200,
    says: ['<InitiateMultipartUploadResult><Bucket>photos</Bucket><Key>large</Key>'],
    find: { upload: /<UploadId>(.+)<\/UploadId>/ },
  },
  {
    name: 'a part is stored',
    is: 'UploadPart',
    ask: {
      method: 'PUT',
      path: '/photos/large',
      query: { partNumber: '1', uploadId: '{upload}' },
      body: 'x'.repeat(5 * 1024 * 1024),
    },
    status: 200,
    find: { one: /^"(\w+)"$/ },
  },
  {
    name: 'a part is copied',
    is: 'UploadPartCopy',
    ask: {
      method: 'PUT',
      path: '/photos/large',
      query: { partNumber: '2', uploadId: '{upload}' },
      headers: { 'x-oss-copy-source': '/photos/a', 'x-oss-copy-source-range': 'bytes=0-1' },
    },
    status: 200,
    says: ['<CopyPartResult>'],
    find: { two: /&quot;(\w+)&quot;/ },
  },
  {
    name: 'parts are listed',
    is: 'ListParts',
    ask: { path: '/photos/large', query: { uploadId: '{upload}' } },
    status: 200,
    says: [
      '<ListPartsResult>',
      '<PartNumber>2</PartNumber>',
      '<Size>2</Size>',
      '<StorageClass>Standard</StorageClass>',
    ],
  },
  {
    name: 'uploads are listed',
    is: 'ListMultipartUploads',
    ask: { path: '/photos/', query: { uploads: '' } },
    status: 200,
    says: ['<ListMultipartUploadsResult><Bucket>photos</Bucket>', '<Key>large</Key>'],
  },
  {
    name: 'an upload ends with a part that is not there',
    is: 'InvalidPart',
    ask: {
      method: 'POST',
      path: '/photos/large',
      query: { uploadId: '{upload}' },
      body: '<CompleteMultipartUpload><Part><PartNumber>3</PartNumber><ETag>"x"</ETag></Part></CompleteMultipartUpload>',
    },
    status: 400,
  },
  {
    name: 'an upload ends',
    is: 'CompleteMultipartUpload',
    ask: {
      method: 'POST',
      path: '/photos/large',
      query: { uploadId: '{upload}' },
      body: '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"{one}"</ETag></Part><Part><PartNumber>2</PartNumber><ETag>"{two}"</ETag></Part></CompleteMultipartUpload>',
    },
    status: 200,
    says: ['<CompleteMultipartUploadResult><Location>', '<Bucket>photos</Bucket><Key>large</Key><ETag>'],
  },
  {
    name: 'another upload begins',
    is: 'InitiateMultipartUpload',
    ask: { method: 'POST', path: '/photos/other', query: { uploads: '' } },
    status: 200,
    find: { upload: /<UploadId>(.+)<\/UploadId>/ },
  },
  {
    name: 'an upload is given up',
    is: 'AbortMultipartUpload',
    ask: { method: 'DELETE', path: '/photos/other', query: { uploadId: '{upload}' } },
    status: 204,
  },
  {
    name: 'an upload that is given up has no parts',
    is: 'NoSuchUpload',
    ask: { path: '/photos/other', query: { uploadId: '{upload}' } },
    status: 404,
  },
];
