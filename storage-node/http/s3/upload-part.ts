import { type Operation } from '../operation.ts';
import { addChecksumHeaders } from './checksums.ts';
import { storePart } from './part.ts';

export const uploadPart: Operation = {
  name: 'UploadPart',
  dialect: 's3',
  method: 'PUT',
  resource: 'object',
  query: ['partNumber', 'uploadId'],
  actions: ['s3:PutObject'],
  parameters: [],
  async handle(context) {
    const { etag, checksum } = await storePart(context, context.payload);
    const headers: Record<string, string> = { etag: `"${etag}"` };
    addChecksumHeaders(headers, checksum);
    delete headers['x-amz-checksum-type'];
    return { status: 200, headers };
  },
};
