import { type ObjectInfo } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { readAnswer, readOptionsOf, readParameters, refusedRead } from './read.ts';

export const headObject: Operation = {
  name: 'HeadObject',
  dialect: 's3',
  method: 'HEAD',
  resource: 'object',
  query: [],
  actions: ['s3:GetObject'],
  parameters: readParameters,
  async handle({ request, layer }) {
    const options = readOptionsOf(request);
    let info: ObjectInfo;
    try {
      info = await layer.head(request.bucket, request.key, options);
    } catch (error) {
      return refusedRead(error);
    }
    const { status, headers } = readAnswer(request, info);
    return { status, headers };
  },
};
