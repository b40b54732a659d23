import { type Operation } from '../operation.ts';

export const deleteBucket: Operation = {
  name: 'DeleteBucket',
  dialect: 's3',
  method: 'DELETE',
  resource: 'bucket',
  query: [],
  actions: ['s3:DeleteBucket'],
  parameters: [],
  async handle({ request, layer }) {
    await layer.deleteBucket(request.bucket);
    return { status: 204 };
  },
};
