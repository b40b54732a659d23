import { type Operation } from '../operation.ts';
import { xmlAnswer } from './xml.ts';

export const getBucketLocation: Operation = {
  name: 'GetBucketLocation',
  dialect: 's3',
  method: 'GET',
  resource: 'bucket',
  query: ['location'],
  actions: ['s3:GetBucketLocation'],
  parameters: [],
  async handle({ request, layer }) {
    const { region } = await layer.bucket(request.bucket);
    // S3's first region has no name here.
    return xmlAnswer('LocationConstraint', region === 'us-east-1' ? '' : region);
  },
};
