import { tagsOf } from '../../object/tags.ts';
import { type Operation } from '../operation.ts';
import { readOptionsOf } from './read.ts';
import { onVersion, taggingXml } from './tagging.ts';
import { xmlAnswer } from './xml.ts';

export const getObjectTagging: Operation = {
  name: 'GetObjectTagging',
  dialect: 's3',
  method: 'GET',
  resource: 'object',
  query: ['tagging'],
  actions: ['s3:GetObjectTagging'],
  parameters: ['versionId'],
  async handle({ request, layer }) {
    const info = await onVersion(request, layer.head(request.bucket, request.key, readOptionsOf(request)));
    const headers = info.shownVersionId === undefined ? undefined : { 'x-amz-version-id': info.shownVersionId };
    return xmlAnswer('Tagging', taggingXml(tagsOf(info)), headers);
  },
};
