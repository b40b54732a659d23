import { type Operation } from '../operation.ts';

export const headBucket: Operation = {
  name: 'HeadBucket',
  dialect: 's3',
  method: 'HEAD',
  resource: 'bucket',
  query: [],
  actions: ['s3:ListBucket'],
  parameters: [],
  async handle({ request, layer }) {
    const { region } = await layer.bucket(request.bucket);
    return { status: 200, headers: { 'x-amz-bucket-region': region, 'x-amz-access-point-alias': 'false' } };
  },
};
