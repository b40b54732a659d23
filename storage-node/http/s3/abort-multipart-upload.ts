import { type Operation } from '../operation.ts';

export const abortMultipartUpload: Operation = {
  name: 'AbortMultipartUpload',
  dialect: 's3',
  method: 'DELETE',
  resource: 'object',
  query: ['uploadId'],
  actions: ['s3:AbortMultipartUpload'],
  parameters: [],
  async handle({ request, layer }) {
    await layer.abortUpload(request.bucket, request.key, request.query.get('uploadId')!);
    return { status: 204 };
  },
};
