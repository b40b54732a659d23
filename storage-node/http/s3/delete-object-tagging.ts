import { type Operation } from '../operation.ts';
import { writeTags } from './put-object-tagging.ts';

export const deleteObjectTagging: Operation = {
  name: 'DeleteObjectTagging',
  dialect: 's3',
  method: 'DELETE',
  resource: 'object',
  query: ['tagging'],
  actions: ['s3:DeleteObjectTagging'],
  parameters: ['versionId'],
  handle: (context) => writeTags(context, { status: 204, tags: [] }),
};
