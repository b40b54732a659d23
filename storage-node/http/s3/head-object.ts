import { type Operation } from '../operation.ts';
import { readAnswer, readOptionsOf, readParameters } from './read.ts';

export const headObject: Operation = {
  name: 'HeadObject',
  dialect: 's3',
  method: 'HEAD',
  resource: 'object',
  query: [],
  actions: ['s3:GetObject'],
  parameters: readParameters,
  async handle({ request, layer }) {
    const info = await layer.head(request.bucket, request.key, readOptionsOf(request));
    const { status, headers } = readAnswer(request, info);
    return { status, headers };
  },
};
