import { type Tags, type TagsInput } from '../../object/model.ts';
import { type Answer, type Operation, type OperationContext } from '../operation.ts';
import { writeConditions } from './conditions.ts';
import { versionIdOf } from './read.ts';
import { onVersion, readTagging } from './tagging.ts';

export const putObjectTagging: Operation = {
  name: 'PutObjectTagging',
  dialect: 's3',
  method: 'PUT',
  resource: 'object',
  query: ['tagging'],
  actions: ['s3:PutObjectTagging'],
  parameters: ['versionId'],
  handle: async (context) => writeTags(context, { status: 200, tags: await readTagging(context.payload) }),
};

/** Makes these all the tags of the version a request names. */
export async function writeTags(
  { request, layer }: OperationContext,
  { status, tags }: { status: number; tags: Tags },
): Promise<Answer> {
  const { bucket, key } = request;
  const input: TagsInput = { bucket, key, tags, conditions: writeConditions(request.headers) };
  const asked = versionIdOf(request.query);
  if (asked !== undefined) input.versionId = asked;
  const { versionId } = await onVersion(request, layer.setTags(input));
  return versionId === undefined ? { status } : { status, headers: { 'x-amz-version-id': versionId } };
}
