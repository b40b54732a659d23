import { type Operation } from '../operation.ts';
import { xmlAnswer } from './xml.ts';

export const getBucketVersioning: Operation = {
  name: 'GetBucketVersioning',
  dialect: 's3',
  method: 'GET',
  resource: 'bucket',
  query: ['versioning'],
  actions: ['s3:GetBucketVersioning'],
  parameters: [],
  async handle({ request, layer }) {
    const { versioning } = await layer.bucket(request.bucket);
    return xmlAnswer('VersioningConfiguration', versioning === 'Off' ? '' : `<Status>${versioning}</Status>`);
  },
};
